using System.CommandLine;
using System.Globalization;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Hosting.Benchmarks;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble bench</c>.</summary>
internal sealed class BenchVerb : Verb
{
    private readonly Argument<string> _what =
        new("what") { Description = "train: the real trainer on synthetic weights and rows." };

    private readonly Option<bool> _suite = new("--suite")
    {
        Description = "Run the standard set for a 7B on one GPU, each in turn, and the leanest plans.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<string> _shape = new("--shape")
    {
        Description = $"Model shape: {string.Join(", ", ModelShapes.All)}.",
        HelpName = "name",
        DefaultValueFactory = _ => "tiny",
    };

    private readonly Option<int> _sequence = Number("--seq", "Tokens of a row.", 512);
    private readonly Option<int> _rows = Number("--rows", "Rows of a step.", 4);
    private readonly Option<string?> _lengths = new("--lengths")
    {
        Description = "Tokens of each row, in place of --seq and --rows: 45,130,77.",
        HelpName = "list",
    };

    private readonly Option<bool> _full = new("--full")
    {
        Description = "Train every weight instead of an adapter over 4-bit weights.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<int> _rank = Number("--rank", "LoRA rank.", 8);
    private readonly Option<bool> _allLinear =
        new("--all-linear") { Description = "Adapt gate, up and down too.", Arity = ArgumentArity.Zero };
    private readonly Option<double> _dropout =
        new("--dropout") { Description = "Dropout on adapter inputs.", HelpName = "p", DefaultValueFactory = _ => 0 };
    private readonly Option<int> _steps = Number("--steps", "Steps timed, after 5 that are not.", 20);
    private readonly Option<string> _device = new("--device")
    {
        Description = "auto, cpu, cuda or cuda:N.",
        HelpName = "name",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<string?> _limit =
        new("--gpu_memory_limit") { Description = "Device memory never exceeded, e.g. 24GiB.", HelpName = "size" };
    private readonly Option<bool> _recompute =
        new("--recompute") { Description = "Recompute every layer.", Arity = ArgumentArity.Zero };
    private readonly Option<bool> _profile =
        new("--profile") { Description = "Also time every op.", Arity = ArgumentArity.Zero };
    private readonly Option<bool> _json = JsonOption();
    private readonly Option<string?> _write =
        new("--write") { Description = "Write train.md and train.json into this folder.", HelpName = "folder" };

    public BenchVerb()
        : base("bench", "Time training steps; the figures in the documentation come from here.")
    {
        _what.AcceptOnlyFromAmong("train");
        Add(_what);
        foreach (var option in new Option[]
        {
            _suite, _shape, _sequence, _rows, _lengths, _full, _rank, _allLinear, _dropout, _steps, _device, _limit,
            _recompute, _profile, _json, _write,
        })
        {
            Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        RefuseUnused(arguments);
        var results = new List<BenchRow>();
        var benchmarks = arguments.GetValue(_suite)
            ? TrainSuite.All(arguments.GetRequiredValue(_device))
            : [("", Single(arguments))];
        foreach (var (title, options) in benchmarks)
        {
            var result = TrainBenchmark.Run(options, session.Terminal.Note);
            results.Add(new BenchRow(title, result));
            if (!arguments.GetValue(_json))
            {
                BenchView.Show(session.Terminal, title, result);
            }
        }

        if (arguments.GetValue(_json))
        {
            BenchView.ShowJson(session.Terminal, results);
        }

        if (arguments.GetValue(_write) is { } folder)
        {
            BenchView.Write(folder, results, Surroundings.CommandLine);
            session.Terminal.Note($"wrote {Path.Combine(folder, "train.md")} and train.json");
        }

        return ExitCode.Ok;
    }

    private void RefuseUnused(ParseResult arguments)
    {
        void Refuse(Option with, string why, Option[] unused)
        {
            if (Array.Find(unused, option => IsGiven(arguments, option)) is { } option)
            {
                throw new UsageException($"{option.Name} has no meaning with {with.Name}: {why}.");
            }
        }

        if (arguments.GetValue(_suite))
        {
            Refuse(_suite, "the runs of the suite are fixed",
            [
                _shape, _sequence, _rows, _lengths, _full, _rank, _allLinear, _dropout, _steps, _limit, _recompute,
                _profile,
            ]);
        }

        if (arguments.GetValue(_full))
        {
            Refuse(_full, "there is no adapter", [_rank, _allLinear, _dropout]);
        }

        if (IsGiven(arguments, _lengths))
        {
            Refuse(_lengths, "it names every row", [_sequence, _rows]);
        }
    }

    private TrainBenchmarkOptions Single(ParseResult arguments)
    {
        var rows = arguments.GetValue(_lengths) is { } lengths
            ? [.. lengths.Split(',').Select(Length)]
            : Enumerable.Repeat(arguments.GetValue(_sequence), arguments.GetValue(_rows)).ToArray();
        if (rows.Length == 0 || rows.Any(r => r < 2))
        {
            throw new UsageException("--seq, --rows, --lengths: expected at least one row of at least 2 tokens.");
        }

        return new TrainBenchmarkOptions
        {
            Shape = arguments.GetRequiredValue(_shape),
            Rows = rows,
            EveryWeight = arguments.GetValue(_full),
            FourBit = !arguments.GetValue(_full),
            Rank = arguments.GetValue(_rank),
            Targets = arguments.GetValue(_allLinear) ? TrainSuite.AllLinear : TrainSuite.Attention,
            Dropout = arguments.GetValue(_dropout),
            Recompute = arguments.GetValue(_recompute) ? RecomputeMode.Always : RecomputeMode.Allowed,
            Engine = new EngineOptions(
                arguments.GetRequiredValue(_device), null, RecomputeMode.Allowed, Limit(arguments.GetValue(_limit))),
            Steps = arguments.GetValue(_steps),
            Profile = arguments.GetValue(_profile),
        };
    }

    private static Option<int> Number(string name, string description, int value) =>
        new(name) { Description = description, HelpName = "n", DefaultValueFactory = _ => value };

    private static int Length(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var length)
        ? length
        : throw new UsageException($"--lengths: expected whole numbers separated by commas, found '{text}'.");

    private static long? Limit(string? text)
    {
        if (text is null)
        {
            return null;
        }

        return ConfigLoader.TryParseSize(text, out var bytes)
            ? bytes
            : throw new UsageException($"--gpu_memory_limit: expected a size such as 24GiB, found '{text}'.");
    }
}
