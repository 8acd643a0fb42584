using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Generation;
using Nibble.Tensors;
using Nibble.Tracking;
using Nibble.Training;
using Nibble.Validation;
using Nibble.Validation.Checks;

namespace Nibble.Hosting;

/// <summary>Who is told what during a run.</summary>
public sealed record FineTunerOptions
{
    /// <summary>Told about training.</summary>
    public IReadOnlyList<ITrainingObserver> Observers { get; init; } = [];

    /// <summary>One line per thing that does not stop the run and should be seen.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>What is happening now, in words.</summary>
    public Action<string> Stage { get; init; } = _ => { };

    /// <summary>Told about every checkpoint.</summary>
    public Action<CheckpointSaved> CheckpointSaved { get; init; } = _ => { };

    /// <summary>Told the bytes of weights read.</summary>
    public IProgress<long>? LoadProgress { get; init; }

    /// <summary>Clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>What came of a run.</summary>
public sealed record FineTuningResult
{
    /// <summary>How it ended.</summary>
    public required TrainingOutcome Outcome { get; init; }

    /// <summary>Steps done.</summary>
    public required int Steps { get; init; }

    /// <summary>Tokens computed in training.</summary>
    public required long Tokens { get; init; }

    /// <summary>Mean loss over all steps.</summary>
    public required double TrainLoss { get; init; }

    /// <summary>Evaluation loss before the first step, or null without evaluation.</summary>
    public required double? EvalLossBefore { get; init; }

    /// <summary>Evaluation loss of what was written, or null without evaluation.</summary>
    public required double? EvalLossAfter { get; init; }

    /// <summary>Seconds of training.</summary>
    public required double Seconds { get; init; }

    /// <summary>Folder of the final adapter or model; of the newest checkpoint when the run was interrupted.</summary>
    public required string AdapterFolder { get; init; }

    /// <summary>The gate's verdict on the result; null when the run was interrupted.</summary>
    public required ValidationReport? Validation { get; init; }
}

/// <summary>Runs a prepared run: loads, resumes, trains, writes, validates.</summary>
/// <param name="run">The run; not owned.</param>
/// <param name="options">Who is told what.</param>
public sealed class FineTuner(PreparedRun run, FineTunerOptions options)
{
    /// <summary>Most that rounding every weight to bf16 (2⁻⁹ of itself, either way) may move the
    /// evaluation loss, relative; 8e-5 on the example. On a GPU, where activations are rounded as
    /// well, as much as those alone.</summary>
    internal const double RoundedWeights = 5e-3;

    /// <summary>Why a whole model's loss may differ from the one of training.</summary>
    internal const string RoundedWeightsReason = "weights are rounded to the base model's types when they are written";

    private RunConfig Config => run.Config;

    /// <summary>Runs to the end, or until cancelled: then the running step is finished and a
    /// full checkpoint written.</summary>
    /// <param name="cancellation">Asks the run to stop.</param>
    public FineTuningResult Run(CancellationToken cancellation = default)
    {
        using var store = CheckpointStore.OpenForWriting(Config.OutputDir);
        AtomicFile.WriteAllText(Path.Combine(Config.OutputDir, AdapterRuntime.ConfigFileName), run.Loaded.ResolvedYaml);
        using var session = new ModelSession(run.Device.Backend, run.Layout());
        options.Stage($"loading {Config.BaseModel.Name}");
        var started = options.Time.GetTimestamp();
        using (run.Device.CompileAhead())
        {
            session.Load(Config.BaseModel.Folder, options.LoadProgress);
        }

        options.Stage($"loaded in {options.Time.GetElapsedTime(started).TotalSeconds:0.0} s");
        var identity = RunIdentity.Of(run);
        var writer = new CheckpointWriter(run, session, store, identity) { Saved = options.CheckpointSaved };
        var progress = Resume(store, writer, identity) ?? Begin(session);
        using var trackers = Trackers.Create(Config, options.Time, options.Warn);
        trackers.Start(RunDescription.From(Config, options.Time, progress.StepsDone > 0 ? progress.StepsDone : null));
        var exitCode = 1;
        try
        {
            options.Stage("training");
            var parts = new TrainerParts
            {
                Backend = run.Device.Backend,
                Model = session.Decoder,
                Optimizer = session.Optimizer!,
                Arena = session.Arena,
                Plan = run.Plan,
                Config = Config,
                Data = run.Data,
                Order = run.Order,
                Timeline = run.Timeline,
                Time = options.Time,
            };
            var trainer = new Trainer(
                parts, progress, [new TrackingObserver(trackers, run.Device), writer, .. options.Observers]);
            var end = trainer.Run(cancellation);
            var result = end.Outcome == TrainingOutcome.Interrupted
                ? Interrupted(end, store)
                : Finish(end, session, store, writer);
            exitCode = result.Outcome == TrainingOutcome.Interrupted
                ? 130
                : result.Validation is { Passed: false } ? 1 : 0;
            return result;
        }
        finally
        {
            trackers.Finish(exitCode);
        }
    }

    private TrainingProgress Begin(ModelSession session)
    {
        InitializeAdapter(session, Config);
        return TrainingProgress.Start;
    }

    /// <summary>The adapter a run starts from: fresh, or the one <c>lora_model_dir</c> names; none when every weight is
    /// trained.</summary>
    internal static void InitializeAdapter(ModelSession session, RunConfig config)
    {
        if (session.Lora is not { } lora)
        {
            return;
        }

        lora.Initialize(session.Backend, config.Seed);
        if (config.Lora!.InitialAdapter is { } folder)
        {
            CheckpointWriter.LoadAdapter(session, AdapterReader.Read(folder));
        }
    }

    private TrainingProgress? Resume(CheckpointStore store, CheckpointWriter writer, RunState identity)
    {
        var folder = Config.Save.ResumeFrom;
        if (folder is null && Config.Save.AutoResume)
        {
            var search = store.FindNewestValid();
            foreach (var damaged in search.Damaged)
            {
                options.Warn($"{damaged.Checkpoint.Name} is not used: {damaged.Reason}");
            }

            folder = search.Valid?.Path;
        }

        if (folder is null)
        {
            return null;
        }

        options.Stage($"resuming from {folder}");
        var content = CheckpointStore.Load(folder);
        foreach (var difference in identity.DifferencesFrom(content.Run))
        {
            if (!difference.StartsWith("config hash", StringComparison.Ordinal))
            {
                var pin = RunFiles.OtherCommit(Config.BaseModel, content.Run) is { } commit
                    ? $"; {Config.BaseModel.Name} has changed on the Hub: revision_of_model: {commit} names what it was"
                    : "";
                throw new CheckpointException(folder, "a checkpoint of this run", difference + pin);
            }

            options.Warn(
                "the config is not the one of the checkpoint: the run continues, "
                + "but not as the uninterrupted run would have.");
        }

        return writer.Restore(content);
    }

    private FineTuningResult Interrupted(TrainingEnd end, CheckpointStore store) => Result(
        end, store.List() is [.., var last] ? last.Path : Config.OutputDir, LastLoss(end), null);

    private FineTuningResult Finish(
        TrainingEnd end, ModelSession session, CheckpointStore store, CheckpointWriter writer)
    {
        var evalLoss = LastLoss(end);
        if (Config.Evaluation.LoadBestAtEnd && end.Progress.BestStep is > 0 and { } best
            && best != end.Progress.StepsDone)
        {
            var folder = Path.Combine(Config.OutputDir, $"checkpoint-{best}");
            options.Stage($"taking the best checkpoint, {folder}");
            writer.LoadWeights(folder);
            evalLoss = end.Progress.BestLoss;
        }

        options.Stage($"writing and validating the {(session.Full is null ? "adapter" : "model")}");
        store.SaveFinal(writer.Content(end.Progress, withOptimizer: false));
        return Result(end, Config.OutputDir, evalLoss, Validate(session, writer, evalLoss));
    }

    // The gate reads the result back from disk: what passes is what was written.
    private ValidationReport Validate(ModelSession session, CheckpointWriter writer, double? recorded)
    {
        var checks = new List<ICheck>();
        var (tolerance, reason) = session.Full is null
            ? (0, "the adapter is stored in F32 and evaluated on the same device: not a bit may differ")
            : (RoundedWeights, RoundedWeightsReason);
        if (recorded is { } loss)
        {
            checks.Add(new EvalReproducesCheck(
                loss,
                () =>
                {
                    writer.LoadWeights(Config.OutputDir);
                    return new Evaluator(
                        session.Backend, session.Decoder, session.Arena, run.Plan, Config.Batch.Normalization)
                        .Loss(run.Data.Eval, run.EvaluationBatches);
                },
                tolerance,
                reason));
        }

        var rows = run.Data.Eval.Length > 0 ? run.Data.Eval : run.Data.Train;
        checks.Add(new SamplesCheck(
            () => SampleGeneration.FromRows(
                session, run.Tokenizer, rows, Config.Evaluation.SampleCount,
                new SamplingOptions(SampleGeneration.MaxNewTokens)),
            mustTerminate: false));
        var report = Validator.Validate(
            Config.OutputDir, Config.BaseModel.Folder, checks, Config.Tokenizer.Folder);
        report.Write(Config.OutputDir);
        return report;
    }

    private static double? LastLoss(TrainingEnd end) => end.Progress.Evaluations is [.., var last] ? last.Loss : null;

    private static FineTuningResult Result(
        TrainingEnd end, string folder, double? evalLoss, ValidationReport? validation) => new()
        {
            Outcome = end.Outcome,
            Steps = end.Progress.StepsDone,
            Tokens = end.Progress.Tokens,
            TrainLoss = end.Progress.MeanLoss,
            EvalLossBefore = end.Progress.Evaluations is [var first, ..] && first.StepsDone == 0 ? first.Loss : null,
            EvalLossAfter = evalLoss,
            Seconds = end.Seconds,
            AdapterFolder = folder,
            Validation = validation,
        };
}
