using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Nibble.Quality.Charts;
using Nibble.Quality.Study;
using Nibble.Tensors;

namespace Nibble.Quality.Verbs;

/// <summary><c>study</c>: full fine-tuning, LoRA and QLoRA on the same base, rows and steps.</summary>
internal static class StudyVerb
{
    /// <summary>Passes over the training rows when nothing else is asked for.</summary>
    internal const int DefaultEpochs = 4;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var examples = Path.Combine("examples", "nl2bash");
        Option<string> Text(string name, string description, string value) =>
            new(name) { Description = description, DefaultValueFactory = _ => value };
        var model = Text("--model", "Base model folder.", Path.Combine(examples, "model"));
        var train = Text("--train", "Training rows.", Path.Combine(examples, "train.jsonl"));
        var validation = Text("--validation", "Rows to measure on.", Path.Combine(examples, "val.jsonl"));
        var output = Text("--out", "Folder of the runs.", Path.Combine("out", "study"));
        var device = Text("--device", "auto, cpu, cuda or cuda:N.", "auto");
        var part = Text(
            "--part", "base, sweep, run: that part alone; all runs them in this order, none runs nothing.", "all")
            .AcceptOnlyFromAmong("all", "base", "sweep", "run", "none");
        var shard = Text(
            "--shard", "i/n: every n-th run from the i-th (1 … n), for processes side by side on one device.", "1/1");
        var seeds =
            new Option<int>("--seeds") { Description = "Seeds of the runs that count.", DefaultValueFactory = _ => 3 };
        var epochs = new Option<int>("--epochs")
        {
            Description = "Passes over the training rows.",
            DefaultValueFactory = _ => DefaultEpochs,
        };
        var resume = new Option<bool>("--resume")
        {
            Description = "Keep results that are there already; without it they are deleted.",
        };
        var alone = new Option<bool>("--measure-time")
        {
            Description =
                "Do runs again that have no seconds of their own, one per method and rank, alone on the device.",
        };
        var write = new Option<DirectoryInfo?>("--write")
        {
            Description = "Folder that receives quality.md, quality.json and the pictures.",
        };
        var command = new Command(
            "study", "Full fine-tuning, LoRA and QLoRA side by side, with a document of what came out.")
        {
            model, train, validation, output, device, part, shard, seeds, epochs, resume, alone, write,
        };
        command.SetAction((arguments, stop) => Task.FromResult(Run(
            new Setting(
                arguments.GetRequiredValue(model), arguments.GetRequiredValue(train),
                arguments.GetRequiredValue(validation), Path.GetFullPath(arguments.GetRequiredValue(output)),
                arguments.GetRequiredValue(device), arguments.GetValue(epochs)),
            new Wish(
                arguments.GetRequiredValue(part), Shard.Parse(arguments.GetRequiredValue(shard)),
                arguments.GetValue(seeds), arguments.GetValue(resume), arguments.GetValue(alone),
                arguments.GetValue(write)),
            stop)));
        return command;
    }

    private sealed record Wish(
        string Part, Shard Shard, int Seeds, bool Resume, bool MeasuresTime, DirectoryInfo? Write)
    {
        public bool Has(string part) => Part == "all" || Part == part;
    }

    private sealed record Shard(int Index, int Count)
    {
        public static Shard Parse(string text) => text.Split('/') is [var i, var n]
            && int.TryParse(i, out var index) && int.TryParse(n, out var count) && index >= 1 && index <= count
            ? new Shard(index, count)
            : throw new ArgumentException($"--shard: expected i/n with i from 1 to n, found {text}");
    }

    private static int Run(Setting setting, Wish wish, CancellationToken stop)
    {
        if (!wish.Resume && Directory.Exists(setting.Output))
        {
            Directory.Delete(setting.Output, recursive: true);
        }

        setting.Prepare();
        var store = new ResultStore(setting.Output, $"results-{wish.Shard.Index}-of-{wish.Shard.Count}");
        var failures = 0;
        void Do(IEnumerable<RunSpec> specs)
        {
            var known = store.Read(setting.Fingerprint);
            var all = specs.ToList();
            var mine = all.Where((_, i) => i % wish.Shard.Count == wish.Shard.Index - 1)
                .Where(s => !IsDone(known, s)).ToList();
            failures += Each(setting, store, mine, wish.Shard.Count > 1, stop);
        }

        if (wish.Has("base"))
        {
            Do(RunSpec.Bases());
        }

        if (wish.Has("sweep"))
        {
            Do(RunSpec.Sweep());
        }

        var rates = Rates(store.Read(setting.Fingerprint).Values);
        if (wish.Has("run"))
        {
            Do(RunSpec.Counting(wish.Seeds, Rate(rates)));
        }

        if (wish.MeasuresTime)
        {
            var results = store.Read(setting.Fingerprint);
            var untimed = Group.All(results.Values).Where(g => g.Runs.Values.All(r => r.IsShared))
                .Select(g => g.First.Spec).ToList();
            failures += Each(setting, store, untimed, isShared: false, stop);
        }

        if (wish.Write is { } folder)
        {
            Write(store.Read(setting.Fingerprint), rates, setting, wish, folder.FullName);
        }

        return failures > 0 ? 1 : 0;
    }

    // A run with another learning rate than the sweep now says is not the same run.
    private static bool IsDone(Dictionary<string, RunResult> known, RunSpec spec) =>
        known.TryGetValue(spec.Id, out var result) && result.Spec == spec;

    private static int Each(
        Setting setting, ResultStore store, List<RunSpec> specs, bool isShared, CancellationToken stop)
    {
        var runner = new StudyRunner(setting, isShared);
        var failures = 0;
        foreach (var (spec, i) in specs.Select((s, i) => (s, i + 1)))
        {
            stop.ThrowIfCancellationRequested();
            var watch = Stopwatch.StartNew();
            try
            {
                var result = runner.Run(spec, stop);
                store.Add(result);
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{i}/{specs.Count} {spec.Id}: loss {result.FinalLoss:F4}, best {result.BestLoss:F4}, exact "
                    + $"{result.Answers?.ExactMatch:P1}, {result.Seconds:F1} of {watch.Elapsed.TotalSeconds:F1} s"));
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                // One run is not worth the others; the exit code tells.
                failures++;
                Console.Error.WriteLine($"{i}/{specs.Count} {spec.Id} failed: {error}");
            }
        }

        return failures;
    }

    /// <summary>The rate of each method whose sweep is there: the lowest final loss on the rows held back.</summary>
    /// <param name="results">Results.</param>
    internal static Dictionary<string, double> Rates(IEnumerable<RunResult> results) => results
        .Where(r => r.Spec.Part == Part.Sweep && double.IsFinite(r.FinalLoss))
        .GroupBy(r => r.Spec.Method)
        .ToDictionary(g => g.Key, g => g.MinBy(r => r.FinalLoss)!.Spec.Rate);

    private static Func<string, double> Rate(Dictionary<string, double> rates) =>
        method => rates.TryGetValue(method, out var rate)
            ? rate
            : throw new InvalidOperationException(
                $"{method}: no learning rate was tried; run --part sweep first, with the same --out and --resume");

    private static void Write(
        Dictionary<string, RunResult> results, Dictionary<string, double> rates, Setting setting,
        Wish wish, string folder)
    {
        var wanted = RunSpec.Bases().Concat(RunSpec.Sweep()).Concat(RunSpec.Counting(wish.Seeds, Rate(rates)))
            .Where(s => IsDone(results, s)).Select(s => results[s.Id]).ToList();
        if (wanted.All(r => r.Spec.Part != Part.Run))
        {
            throw new InvalidOperationException($"{setting.Output}: expected results of runs that count, found none");
        }

        Directory.CreateDirectory(folder);
        var charts = new StudyCharts(wanted);
        void File(string name, string text) => AtomicFile.WriteAllText(Path.Combine(folder, name), text);
        File("quality.json", ResultStore.Document(wanted));
        File("quality.md", new StudyDocument(wanted, rates, setting.Epochs).Text());
        File(StudyDocument.LossByRank, Picture.Svg(charts.ByRank(
            "Evaluation loss after the last step", "loss, nats per answer token", r => r.FinalLoss)));
        File(StudyDocument.ExactByRank, Picture.Svg(charts.ByRank(
            "Answers right to the last character", "exact match, %", r => 100 * r.Answers!.ExactMatch)));
        File(StudyDocument.LossBySteps, Picture.Svg(charts.BySteps()));
        Console.WriteLine($"{folder}: quality.md, quality.json and three pictures of {wanted.Count} results");
    }
}
