using System.Globalization;

namespace Nibble.Quality.Study;

/// <summary>What a run is for.</summary>
internal enum Part
{
    /// <summary>The base model as it is, in the method's weight format.</summary>
    Base,

    /// <summary>Finds a learning rate on training rows held back.</summary>
    Sweep,

    /// <summary>Counts.</summary>
    Run,
}

/// <summary>One run of the study.</summary>
/// <param name="Part">What it is for.</param>
/// <param name="Method">Name of the method.</param>
/// <param name="Rank">Rank of the adapters; 0 without.</param>
/// <param name="Targets">Where adapters sit: <see cref="AllLinear"/> or
/// <see cref="AttentionOnly"/>; empty without.</param>
/// <param name="Seed">Order of rows, first adapters and dropout.</param>
/// <param name="Rate">Learning rate.</param>
internal sealed record RunSpec(Part Part, string Method, int Rank, string Targets, int Seed, double Rate)
{
    /// <summary>Adapters on every linear layer.</summary>
    public const string AllLinear = "all";

    /// <summary>Adapters on q, k, v and o.</summary>
    public const string AttentionOnly = "qkvo";

    /// <summary>Ranks of the study.</summary>
    public static IReadOnlyList<int> Ranks { get; } = [4, 8, 16, 64];

    /// <summary>Rank at which rates are tried and at which the two sets of targets are compared.</summary>
    public const int SweepRank = 16;

    /// <summary>The reference rank of the claim.</summary>
    public const int ClaimRank = 8;

    private const int SweepSeed = 42;

    /// <summary>Name of its folder.</summary>
    public string Id => string.Join('-', new[]
    {
        Part.ToString().ToLowerInvariant(), Method, Rank > 0 ? $"r{Rank}" : "", Targets,
        Part == Part.Base ? "" : $"s{Seed}",
        Part == Part.Sweep ? Rate.ToString("0.#######", CultureInfo.InvariantCulture) : "",
    }.Where(p => p.Length > 0));

    /// <summary>Every method's base, before any training; full fine-tuning and LoRA begin with the same.</summary>
    public static IEnumerable<RunSpec> Bases() =>
        Study.Method.All.Skip(1).Select(m => new RunSpec(Part.Base, m.Id, 0, "", 0, 0));

    /// <summary>Every rate of every method, at one rank and one seed.</summary>
    public static IEnumerable<RunSpec> Sweep() =>
        from method in Study.Method.All
        from rate in method.Rates
        select new RunSpec(
            Part.Sweep, method.Id, method.HasRank ? SweepRank : 0, method.HasRank ? AllLinear : "", SweepSeed, rate);

    /// <summary>The runs that count.</summary>
    /// <param name="seeds">How many seeds, from 1.</param>
    /// <param name="rate">Learning rate of a method.</param>
    public static IEnumerable<RunSpec> Counting(int seeds, Func<string, double> rate)
    {
        foreach (var seed in Enumerable.Range(1, seeds))
        {
            foreach (var method in Study.Method.All)
            {
                foreach (var rank in method.HasRank ? Ranks : [0])
                {
                    yield return new RunSpec(
                        Part.Run, method.Id, rank, method.HasRank ? AllLinear : "", seed, rate(method.Id));
                }

                if (method.HasRank)
                {
                    yield return new RunSpec(Part.Run, method.Id, ClaimRank, AttentionOnly, seed, rate(method.Id));
                }
            }
        }
    }
}
