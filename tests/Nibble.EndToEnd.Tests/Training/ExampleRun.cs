using Nibble.Config;
using Nibble.Hosting;
using Nibble.Training;

namespace Nibble.EndToEnd.Tests.Training;

/// <summary>The repository's example, shortened, in a folder of its own.</summary>
internal sealed class ExampleRun : IDisposable
{
    private readonly List<(string Key, string Value)> _keys =
    [
        ("nibble.device", "cpu"), ("max_steps", "8"), ("logging_steps", "1"), ("eval_steps", "4"), ("save_steps", "2"),
        ("micro_batch_size", "2"), ("gradient_accumulation_steps", "2"),
    ];

    // Rows to evaluate on: enough for a figure, few enough to be quick.
    private const int EvaluationRows = 40;

    public ExampleRun()
    {
        var rows = Path.Combine(Folder, "rows.jsonl");
        File.WriteAllLines(
            rows, File.ReadLines(Path.Combine(Root, "examples", "nl2bash", "val.jsonl")).Take(EvaluationRows));
        _keys.Add(("test_datasets.0.path", rows));
    }

    public static string Root { get; } = FindRoot();

    public string Folder { get; } = Directory.CreateTempSubdirectory("nibble-e2e-").FullName;

    public string Output => Path.Combine(Folder, "out");

    public string AdapterFile => Path.Combine(Output, "adapter_model.safetensors");

    public ExampleRun Set(string key, string value)
    {
        _keys.RemoveAll(k => k.Key == key);
        _keys.Add((key, value));
        return this;
    }

    /// <summary>Runs it; a resumed run is another call with other keys.</summary>
    public FineTuningResult Run(CancellationToken cancellation, params ReadOnlySpan<ITrainingObserver> observers)
    {
        var builder = new FineTunerBuilder(Path.Combine(Root, "examples", "nl2bash", "qlora.yml"))
            .Set("output_dir", Output);
        foreach (var (key, value) in _keys)
        {
            builder.Set(key, value);
        }

        foreach (var observer in observers)
        {
            builder.Observe(observer);
        }

        return builder.Run(cancellation);
    }

    /// <summary>Its config, as a verb reads it.</summary>
    public LoadedConfig Load() => ConfigLoader.Load(
        Path.Combine(Root, "examples", "nl2bash", "qlora.yml"),
        [new ConfigOverride("output_dir", Output), .. _keys.Select(k => new ConfigOverride(k.Key, k.Value))]);

    public IReadOnlyList<string> Arguments() =>
        ["--output_dir", Output, .. _keys.SelectMany(k => new[] { $"--{k.Key}", k.Value })];

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Nibble.slnx")))
            {
                return folder;
            }
        }

        throw new DirectoryNotFoundException($"Nibble.slnx: not found above {AppContext.BaseDirectory}");
    }
}

/// <summary>Keeps the losses of a run, and stops it after some steps when asked to.</summary>
internal sealed class LossRecorder(
    CancellationTokenSource? stop = null, int stopAfter = int.MaxValue) : ITrainingObserver
{
    public List<double> Losses { get; } = [];

    public List<double> EvaluationLosses { get; } = [];

    public void OnLogged(LoggedStep log) => Losses.Add(log.Loss);

    public void OnEvaluated(Evaluation evaluation) => EvaluationLosses.Add(evaluation.Loss);

    public void OnStep(StepDone step)
    {
        if (step.StepsDone == stopAfter)
        {
            stop!.Cancel();
        }
    }
}
