using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;
using Nibble.Hosting;
using Nibble.Hosting.Answers;
using Nibble.Tensors;
using Nibble.Training;

namespace Nibble.Quality.Study;

/// <summary>Runs a run: trains, evaluates, asks for answers.</summary>
/// <param name="setting">What runs share.</param>
/// <param name="isShared">Whether others run at the same time.</param>
internal sealed class StudyRunner(Setting setting, bool isShared)
{
    /// <summary>Runs one.</summary>
    /// <param name="spec">Run.</param>
    /// <param name="stop">Cancels.</param>
    public RunResult Run(RunSpec spec, CancellationToken stop)
    {
        var folder = setting.Folder(spec);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "study.yml");
        AtomicFile.WriteAllText(file, setting.Yaml(spec));
        var loaded = ConfigLoader.Load(file);
        var result = spec.Part == Part.Base ? null : Train(spec, loaded, stop);
        return spec.Part == Part.Sweep ? result! : Ask(spec, loaded.Config, result, stop);
    }

    private RunResult Train(RunSpec spec, LoadedConfig loaded, CancellationToken stop)
    {
        using var run = PreparedRun.Create(loaded, cancellation: stop);
        var evaluations = new Evaluations();
        var end = new FineTuner(run, new FineTunerOptions { Observers = [evaluations] }).Run(stop);
        stop.ThrowIfCancellationRequested();
        return new RunResult
        {
            Spec = spec,
            Fingerprint = setting.Fingerprint,
            Device = run.Device.Backend.Name,
            IsShared = isShared,
            Evals = evaluations.Points,
            Steps = end.Steps,
            Tokens = end.Tokens,
            Trainable = run.TrainableParameters,
            Ledger = run.Plan.Ledger.ToDictionary(i => i.Item, i => i.Bytes),
            Seconds = end.Seconds,
        };
    }

    // The same way as nibble evaluate --answers: what was written is read back.
    private RunResult Ask(RunSpec spec, RunConfig config, RunResult? trained, CancellationToken stop)
    {
        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder);
        var data = DatasetBuilder.Build(config, tokenizer, null, stop);
        var prompts = AnswerPrompt.FromRows(data.Eval, tokenizer);
        var batches = EvaluationBatches.Create(data.Eval, config.Batch, config.Sequence);
        using var runtime = AdapterRuntime.Open(
            AdapterRuntimeOptions.Of(config, spec.Part == Part.Base ? null : config.OutputDir)
                .WithRoomFor(data.Eval, batches) with
            {
                SideBySide = AnswerRun.Largest(prompts, SampleGeneration.MaxNewTokens),
            });
        var metrics = AnswerMetrics.Of(runtime.Answer(prompts, SampleGeneration.MaxNewTokens, cancellation: stop));
        return (trained ?? new RunResult
        {
            Spec = spec,
            Fingerprint = setting.Fingerprint,
            Device = runtime.Device.Backend.Name,
            IsShared = isShared,
            Evals = [new EvalPoint(0, runtime.Evaluate(data.Eval, batches, config.Batch.Normalization, stop))],
        }) with
        {
            Answers = metrics,
        };
    }

    private sealed class Evaluations : ITrainingObserver
    {
        public List<EvalPoint> Points { get; } = [];

        public void OnEvaluated(Evaluation evaluation) =>
            Points.Add(new EvalPoint(evaluation.StepsDone, evaluation.Loss));
    }
}
