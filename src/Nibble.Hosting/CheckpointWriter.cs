using Nibble.Checkpoints;
using Nibble.Models.Full;
using Nibble.Models.Lora;
using Nibble.Tensors;
using Nibble.Training;

namespace Nibble.Hosting;

/// <summary>Told about checkpoints.</summary>
/// <param name="Folder">Finished folder.</param>
/// <param name="Step">Steps done.</param>
/// <param name="Removed">Names of checkpoints that rotation deleted.</param>
public sealed record CheckpointSaved(string Folder, int Step, IReadOnlyList<string> Removed);

/// <summary>Writes checkpoints when they are due, and reads them back into a session.</summary>
internal sealed class CheckpointWriter(PreparedRun run, ModelSession session, CheckpointStore store, RunState identity)
    : ITrainingObserver
{
    private const string MasterName = "master";

    /// <summary>Called after every checkpoint.</summary>
    public Action<CheckpointSaved>? Saved { get; init; }

    /// <inheritdoc/>
    public void OnCheckpointDue(CheckpointDue due)
    {
        var content = Content(due.Progress, withOptimizer: !run.Config.Save.OnlyModel);
        var info = store.Save(content);
        var removed = store.Rotate(run.Config.Save.TotalLimit, BestCheckpoint(due.Progress));
        Saved?.Invoke(new CheckpointSaved(info.Path, info.Step, removed));
    }

    /// <summary>Everything a checkpoint holds, read from the device.</summary>
    public CheckpointContent Content(TrainingProgress progress, bool withOptimizer)
    {
        return new CheckpointContent
        {
            Weights = session.Full is { } full ? Model(full) : Adapter(session.Lora!),
            State = State(progress),
            Optimizer = withOptimizer ? [.. Resumable().Select(t => Tensor(t.Name, t.View))] : null,
            Run = identity with
            {
                Step = progress.StepsDone,
                Epoch = progress.Epoch,
                NextStep = progress.StepsDone,
                TotalLoss = progress.TotalLoss,
                LossSinceLog = progress.UnloggedLoss,
                StepsSinceLog = progress.UnloggedSteps,
                TokensSeen = progress.Tokens,
                TokensTrained = progress.TrainedTokens,
            },
            TokenizerFiles = TokenizerFiles.Find(run.Config.Tokenizer.Folder),
            Card = new ModelCard
            {
                NibbleVersion = RunIdentity.Version,
                Datasets = [.. run.Config.Data.Train.Select(d => d.Path)],
                Results = Results(progress),
                ConfigYaml = run.Loaded.ResolvedYaml,
            },
        };
    }

    /// <summary>Puts a checkpoint into the session.</summary>
    /// <returns>Where the run stands.</returns>
    public TrainingProgress Restore(CheckpointContent content)
    {
        if (session.Lora is not null)
        {
            LoadAdapter(session, content.RequireAdapter());
        }
        else if (content.Weights is not FullModel)
        {
            throw new CheckpointException(
                $"checkpoint-{content.Run.Step}", "a whole model, as this run trains every weight", "an adapter");
        }

        if (content.Optimizer is null)
        {
            throw new CheckpointException(
                $"checkpoint-{content.Run.Step}", "optimizer state",
                "a checkpoint of save_only_model, which cannot resume");
        }

        foreach (var (name, view) in Resumable())
        {
            var saved = content.Optimizer.FirstOrDefault(t => t.Name == name);
            if (saved is null || saved.Rows != view.Rows || saved.Cols != view.Cols || saved.DType != view.DType)
            {
                throw new CheckpointException(
                    $"checkpoint-{content.Run.Step}", $"optimizer tensor {name} {view}",
                    saved is null ? "nothing" : $"{saved.DType} [{saved.Rows}, {saved.Cols}]");
            }

            Upload(saved, view);
        }

        if (session.Full is not null)
        {
            session.Backend.RefreshCompute(session.Full.Parameters);
        }

        var (state, runState) = (content.State, content.Run);
        return TrainingProgress.Start with
        {
            StepsDone = runState.Step,
            Epoch = runState.Epoch,
            TotalLoss = runState.TotalLoss,
            UnloggedLoss = runState.LossSinceLog,
            UnloggedSteps = runState.StepsSinceLog,
            Tokens = runState.TokensSeen,
            TrainedTokens = runState.TokensTrained,
            BestLoss = state.BestMetric,
            BestStep = state.BestGlobalStep,
            EvaluationsSinceBest = state.EarlyStopping?.Counter ?? 0,
            Logs = [.. state.LogHistory.Where(e => e.Values.ContainsKey("loss")).Select(e => new LoggedStep(
                e.Step, e.Epoch ?? 0, e.Values["loss"], e.Values.GetValueOrDefault("grad_norm"),
                e.Values.GetValueOrDefault("learning_rate"), 0))],
            Evaluations = [.. state.LogHistory.Where(e => e.Values.ContainsKey("eval_loss")).Select(e => new Evaluation(
                e.Step, e.Epoch ?? 0, e.Values["eval_loss"], e.Values.GetValueOrDefault("eval_runtime"),
                run.Data.Eval.Length, run.EvaluationBatches.Count, e.Step == state.BestGlobalStep))],
        };
    }

    /// <summary>Puts what a checkpoint trained into the session and leaves the optimizer as it is: an
    /// adapter, or the exact weights where the checkpoint can resume, or else the weights as they were
    /// rounded for the model file.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="CheckpointException">The checkpoint holds something else.</exception>
    public void LoadWeights(string folder)
    {
        var content = CheckpointStore.Load(folder);
        if (session.Full is not { } full)
        {
            LoadAdapter(session, content.RequireAdapter());
        }
        else if (content.Optimizer?.FirstOrDefault(t => t.Name == MasterName) is { } master
            && master.Cols == full.Parameters.Master.Cols)
        {
            Upload(master, full.Parameters.Master);
            session.Backend.RefreshCompute(full.Parameters);
        }
        else
        {
            session.LoadWeights(folder);
        }
    }

    /// <summary>Uploads an adapter's factors; every slot must be there with its shape.</summary>
    public static void LoadAdapter(ModelSession session, LoraAdapter adapter)
    {
        var lora = session.Lora!;
        foreach (var slot in lora.Parameters.Slots)
        {
            var tensor = adapter.Tensors.FirstOrDefault(t => t.Name == slot.Name);
            if (tensor is null || tensor.Rows != slot.Rows || tensor.Cols != slot.Cols)
            {
                throw new CheckpointException(
                    AdapterFileNames.Weights, $"{slot.Name} [{slot.Rows}, {slot.Cols}]",
                    tensor is null ? "no such tensor" : $"[{tensor.Rows}, {tensor.Cols}]");
            }

            lora.UploadMaster(session.Backend, slot, tensor.Data.Span);
        }

        session.Backend.RefreshCompute(lora.Parameters);
    }

    /// <summary>Name of the best checkpoint so far, or null.</summary>
    public static string? BestCheckpoint(TrainingProgress progress) =>
        progress.BestStep is { } step and > 0 ? $"checkpoint-{step}" : null;

    private TrainerState State(TrainingProgress progress)
    {
        var best = BestCheckpoint(progress);
        var config = run.Config;
        var logs = progress.Logs.Select(
            l => LogEntry.Train(l.StepsDone, l.Epoch, l.Loss, l.GradientNorm, l.LearningRate));
        var evaluations = progress.Evaluations.Select(
            e => LogEntry.Evaluation(e.StepsDone, e.Epoch, e.Loss, e.Seconds, e.Samples, e.Batches));
        var entries = logs.Concat(evaluations).OrderBy(e => e.Step);
        return new TrainerState
        {
            BestGlobalStep = progress.BestStep,
            BestMetric = progress.BestLoss,
            BestModelCheckpoint = best is null ? null : Path.Combine(config.OutputDir, best),
            Epoch = progress.Epoch,
            EvalSteps = config.Evaluation.Every.InSteps(run.Timeline.TotalSteps),
            GlobalStep = progress.StepsDone,
            LogHistory = [.. entries],
            LoggingSteps = run.Timeline.LoggingSteps,
            MaxSteps = run.Timeline.TotalSteps,
            NumInputTokensSeen = progress.Tokens,
            NumTrainEpochs = (int)Math.Ceiling(run.Timeline.TotalSteps / (double)run.Timeline.StepsPerEpoch),
            SaveSteps = config.Save.Every.InSteps(run.Timeline.TotalSteps),
            ShouldTrainingStop = progress.StepsDone >= run.Timeline.TotalSteps,
            EarlyStopping = config.Evaluation.EarlyStoppingPatience is { } patience
                ? new EarlyStoppingState(patience, 0, progress.EvaluationsSinceBest)
                : null,
            TotalFlos = 6.0 * run.Model.ParameterCount * progress.Tokens,
            TrainBatchSize = config.Batch.MicroBatchSize,
        };
    }

    private static List<(string Name, string Value)> Results(TrainingProgress progress)
    {
        var results = new List<(string, string)>
        {
            ("steps", $"{progress.StepsDone}"),
            ("train loss (mean)", $"{progress.MeanLoss:0.####}"),
        };
        if (progress.Evaluations.Count > 0)
        {
            results.Add(("eval loss, first", $"{progress.Evaluations[0].Loss:0.####}"));
            results.Add(("eval loss, last", $"{progress.Evaluations[^1].Loss:0.####}"));
        }

        return results;
    }

    // The model file rounds to the base model's types, so an exact continuation needs the masters beside it.
    private IEnumerable<(string Name, TensorView View)> Resumable() => session.Full is { } full
        ? session.Optimizer!.Tensors.Append((MasterName, full.Parameters.Master))
        : session.Optimizer!.Tensors;

    private LoraAdapter Adapter(LoraAdapters lora) => new(
        new LoraAdapterConfig
        {
            BaseModel = run.Config.BaseModel.Name,
            Revision = run.Config.BaseModel.Revision,
            Rank = lora.Options.Rank,
            Alpha = lora.Options.Alpha,
            Dropout = lora.Options.Dropout,
            TargetModules = lora.Options.TargetModules,
            RankStabilized = lora.Options.RankStabilized,
        },
        [
            .. lora.Parameters.Slots.Select(
                s => new LoraTensor(s.Name, s.Rows, s.Cols, lora.DownloadMaster(session.Backend, s))),
        ]);

    private FullModel Model(FullParameters full) => new(
        run.Config.BaseModel.Folder,
        [.. full.Parameters.Slots.Select(s => Tensor(s.Name, ParameterSet.Piece(full.Parameters.Master, s)))])
    {
        BaseName = run.Config.BaseModel.Name,
    };

    // Read from the device when it is written, a piece at a time.
    private StateTensor Tensor(string name, TensorView view) => new(
        name, view.DType, view.Rows, view.Cols,
        (offset, destination) => session.Backend.Download(Bytes(view, offset, destination.Length), destination));

    private void Upload(StateTensor saved, TensorView view) =>
        saved.ForEachPiece((at, piece) => session.Backend.Upload(piece.Span, Bytes(view, at, piece.Length)));

    private static TensorView Bytes(TensorView view, long offset, int count) =>
        new(view.Address + (nint)offset, DType.U8, 1, count);
}
