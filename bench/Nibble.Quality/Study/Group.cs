namespace Nibble.Quality.Study;

/// <summary>Runs that differ in their seed alone.</summary>
/// <param name="Method">How they trained.</param>
/// <param name="Rank">Rank; 0 without adapters.</param>
/// <param name="Targets">Where adapters sit.</param>
/// <param name="Runs">Results by seed.</param>
internal sealed record Group(Method Method, int Rank, string Targets, IReadOnlyDictionary<int, RunResult> Runs)
{
    /// <summary>Any of them, for what the seed does not change.</summary>
    public RunResult First => Runs.Values.First();

    /// <summary>The runs that count, in the order of tables: full fine-tuning, then by
    /// targets, method and rank.</summary>
    /// <param name="results">Results.</param>
    public static IReadOnlyList<Group> All(IEnumerable<RunResult> results) =>
    [
        .. results.Where(r => r.Spec.Part == Part.Run)
            .GroupBy(r => (r.Spec.Method, r.Spec.Rank, r.Spec.Targets))
            .OrderBy(g => g.Key.Targets == RunSpec.AttentionOnly)
            .ThenBy(g => Method.All.ToList().FindIndex(m => m.Id == g.Key.Method))
            .ThenBy(g => g.Key.Rank)
            .Select(g => new Group(
                Method.Of(g.Key.Method), g.Key.Rank, g.Key.Targets, g.ToDictionary(r => r.Spec.Seed))),
    ];

    /// <summary>Mean of a figure over the seeds.</summary>
    /// <param name="figure">Figure of a run.</param>
    public Estimate Of(Func<RunResult, double> figure) => Estimate.Of([.. Runs.Values.Select(figure)]);

    /// <summary>Ratio of a figure to another group's, by seed.</summary>
    /// <param name="other">Yardstick.</param>
    /// <param name="figure">Figure of a run.</param>
    public Estimate Ratio(Group other, Func<RunResult, double> figure) => Estimate.OfRatio(
        Runs.ToDictionary(r => r.Key, r => figure(r.Value)), other.Runs.ToDictionary(r => r.Key, r => figure(r.Value)));
}
