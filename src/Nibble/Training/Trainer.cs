using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Models.Decoder;
using Nibble.Planning;
using Nibble.Tensors;

namespace Nibble.Training;

/// <summary>What a trainer works with; all of it lives on one backend.</summary>
public sealed record TrainerParts
{
    /// <summary>Device.</summary>
    public required IBackend Backend { get; init; }

    /// <summary>Model with adapters, or with weights that are trained.</summary>
    public required DecoderModel Model { get; init; }

    /// <summary>Optimizer state of what is trained.</summary>
    public required OptimizerState Optimizer { get; init; }

    /// <summary>Memory of passes.</summary>
    public required Arena Arena { get; init; }

    /// <summary>Sizes of passes.</summary>
    public required MemoryPlan Plan { get; init; }

    /// <summary>The run.</summary>
    public required RunConfig Config { get; init; }

    /// <summary>Rows.</summary>
    public required TokenizedData Data { get; init; }

    /// <summary>Steps.</summary>
    public required TrainingOrder Order { get; init; }

    /// <summary>When to log, evaluate, save.</summary>
    public required RunTimeline Timeline { get; init; }

    /// <summary>Clock.</summary>
    public required TimeProvider Time { get; init; }
}

/// <summary>
/// The training loop: passes, clip, AdamW, schedule, evaluation, events. A step reads nothing back from the device;
/// losses and norms wait there until the next log line.
/// </summary>
public sealed class Trainer
{
    private readonly TrainerParts _parts;
    private readonly IBackend _backend;
    private readonly ParameterSet _parameters;
    private readonly LearningRateSchedule _schedule;
    private readonly Evaluator _evaluator;
    private readonly IReadOnlyList<MicroBatch> _evaluationBatches;
    private readonly IReadOnlyList<ITrainingObserver> _observers;
    private readonly List<LoggedStep> _logs;
    private readonly List<Evaluation> _evaluations;
    private readonly TensorView _losses;
    private readonly TensorView _norms;
    private TrainingProgress _progress;
    private int _unread;
    private double _lastLoss = double.NaN;
    private double _lastNorm = double.NaN;
    private long _tokensSinceLog;
    private TimeSpan _stepTime;
    private TimeSpan _stepTimeAtLog;

    /// <summary>Prepares a run.</summary>
    /// <param name="parts">What it works with; the optimizer state is what the run continues from.</param>
    /// <param name="progress">Where the run stands: <see cref="TrainingProgress.Start"/> or a checkpoint's.</param>
    /// <param name="observers">Told what happens.</param>
    public Trainer(TrainerParts parts, TrainingProgress progress, IReadOnlyList<ITrainingObserver> observers)
    {
        ArgumentNullException.ThrowIfNull(parts);
        ArgumentNullException.ThrowIfNull(progress);
        (_parts, _backend, _progress, _observers) = (parts, parts.Backend, progress, observers);
        _parameters = parts.Model.Trained
            ?? throw new TrainingException(
                "the model has no adapters and its weights are frozen: there is nothing to train.");
        _schedule = new LearningRateSchedule(
            parts.Config.Schedule, parts.Config.Optimizer.LearningRate, parts.Timeline.WarmupSteps,
            parts.Timeline.TotalSteps);
        _evaluator = new Evaluator(_backend, parts.Model, parts.Arena, parts.Plan, parts.Config.Batch.Normalization);
        _evaluationBatches = EvaluationBatches.Create(parts.Data.Eval, parts.Config.Batch, parts.Config.Sequence);
        (_logs, _evaluations) = ([.. progress.Logs], [.. progress.Evaluations]);
        _lastLoss = _logs.Count > 0 ? _logs[^1].Loss : double.NaN;
        _losses = parts.Arena.Allocate(DType.F64, 1, parts.Timeline.LoggingSteps);
        _norms = parts.Arena.Allocate(DType.F32, 1, parts.Timeline.LoggingSteps);
    }

    /// <summary>Runs to the end, or until cancelled: then the running step is finished
    /// and a checkpoint is due.</summary>
    /// <param name="cancellation">Asks the run to stop.</param>
    /// <exception cref="TrainingException">A loss is not finite, or the watchdog fired.</exception>
    public TrainingEnd Run(CancellationToken cancellation)
    {
        var (timeline, config) = (_parts.Timeline, _parts.Config);
        var started = _parts.Time.GetTimestamp();
        Notify(o => o.OnStarted(new TrainingStart(_progress.StepsDone, timeline.TotalSteps, timeline)));
        if (_progress.StepsDone == 0 && timeline.Evaluates)
        {
            Evaluate();
        }

        var outcome = TrainingOutcome.Completed;
        while (_progress.StepsDone < timeline.TotalSteps)
        {
            var step = _parts.Order.GetStep(_progress.StepsDone);
            Step(step);
            var done = _progress.StepsDone;
            if (timeline.LogsAfter(done))
            {
                Log();
            }

            var stops = timeline.EvaluatesAfter(done, step.EndsEpoch) && Evaluate();
            var interrupted = cancellation.IsCancellationRequested && done < timeline.TotalSteps;
            if (timeline.SavesAfter(done, step.EndsEpoch) || interrupted || stops)
            {
                ReadLosses();
                var reason = interrupted ? CheckpointReason.Interrupted : CheckpointReason.Scheduled;
                Notify(o => o.OnCheckpointDue(new CheckpointDue(reason, Snapshot())));
            }

            if (interrupted || stops)
            {
                outcome = stops ? TrainingOutcome.StoppedEarly : TrainingOutcome.Interrupted;
                break;
            }
        }

        ReadLosses();
        var end = new TrainingEnd(
            outcome, Snapshot(), _parts.Time.GetElapsedTime(started).TotalSeconds, _stepTime.TotalSeconds);
        Notify(o => o.OnFinished(end));
        return end;
    }

    private void Step(OptimizerStep step)
    {
        var (config, index) = (_parts.Config, _progress.StepsDone);
        var started = _parts.Time.GetTimestamp();
        var loss = _losses.ColRange(_unread, 1);
        var norm = _norms.ColRange(_unread, 1);
        _backend.Zero(_parameters.Gradient);
        _backend.Zero(loss);
        var (tokens, trained) = (0, 0);
        foreach (var pass in PassBuilder.Build(
            _parts.Data.Train, step.MicroBatches, _parts.Plan.PassTokens,
            config.Batch.Normalization == LossNormalization.Sequence))
        {
            _parts.Model.Run(
                pass.Batch,
                _parts.Plan.TrainingShape(pass.Batch),
                _parts.Arena,
                pass.LossScale,
                new DropoutPlace((ulong)(uint)config.Seed, index, pass.FirstToken),
                loss);
            tokens += pass.Batch.InputIds.Length;
            trained += pass.Batch.TrainedTokens;
        }

        _backend.GradientNorm(_parameters.Gradient, norm);
        var rate = _schedule.At(index);
        var o = config.Optimizer;
        _backend.AdamW(
            _parameters,
            _parts.Optimizer,
            new AdamWStep(
                (float)rate, (float)o.Beta1, (float)o.Beta2, (float)o.Epsilon, (float)o.WeightDecay, index + 1,
                (float)o.MaxGradNorm, DecayAfter: o.Kind == OptimizerKind.AdamW8Bit),
            norm);
        _unread++;
        _tokensSinceLog += tokens;
        _progress = _progress with
        {
            StepsDone = index + 1,
            Epoch = step.EpochAfter,
            Tokens = _progress.Tokens + tokens,
            TrainedTokens = _progress.TrainedTokens + trained,
        };
        if (_unread == _losses.Cols)
        {
            ReadLosses();
        }

        _stepTime += _parts.Time.GetElapsedTime(started);
        var done = new StepDone(index + 1, _parts.Timeline.TotalSteps, step.EpochAfter, rate, tokens, _lastLoss);
        Notify(observer => observer.OnStep(done));
    }

    private void ReadLosses()
    {
        if (_unread == 0)
        {
            return;
        }

        var losses = new double[_losses.Cols];
        var norms = new float[_norms.Cols];
        _backend.Download(_losses, MemoryMarshal.AsBytes(losses.AsSpan()));
        _backend.Download(_norms, MemoryMarshal.AsBytes(norms.AsSpan()));
        var (sum, first) = (0.0, _progress.StepsDone - _unread);
        for (var i = 0; i < _unread; i++)
        {
            if (!double.IsFinite(losses[i]) || !float.IsFinite(norms[i]))
            {
                throw new TrainingException(
                    $"step {first + i + 1}: expected a finite loss and gradient norm, "
                    + $"found loss {losses[i]}, norm {norms[i]}. The run has diverged; "
                    + "checkpoints written before are intact. Lower learning_rate, lengthen the warm-up, or "
                    + "check the rows of this step with `nibble inspect`.");
            }

            sum += losses[i];
        }

        _lastNorm = norms[_unread - 1];
        _progress = _progress with
        {
            TotalLoss = _progress.TotalLoss + sum,
            UnloggedLoss = _progress.UnloggedLoss + sum,
            UnloggedSteps = _progress.UnloggedSteps + _unread,
        };
        _unread = 0;
    }

    private void Log()
    {
        var started = _parts.Time.GetTimestamp();
        ReadLosses();
        _stepTime += _parts.Time.GetElapsedTime(started);
        if (_progress.UnloggedSteps == 0)
        {
            return;
        }

        _lastLoss = _progress.UnloggedLoss / _progress.UnloggedSteps;
        var seconds = (_stepTime - _stepTimeAtLog).TotalSeconds;
        var log = new LoggedStep(
            _progress.StepsDone, _progress.Epoch, _lastLoss, _lastNorm, _schedule.At(_progress.StepsDone - 1),
            seconds > 0 ? _tokensSinceLog / seconds : 0);
        (_stepTimeAtLog, _tokensSinceLog) = (_stepTime, 0);
        _progress = _progress with { UnloggedLoss = 0, UnloggedSteps = 0 };
        _logs.Add(log);
        Watch(log);
        Notify(o => o.OnLogged(log));
    }

    private void Watch(LoggedStep log)
    {
        if (_parts.Config.Logging.LossWatchdogThreshold is not { } threshold)
        {
            return;
        }

        var count = log.Loss > threshold ? _progress.WatchdogCount + 1 : 0;
        _progress = _progress with { WatchdogCount = count };
        if (count >= _parts.Config.Logging.LossWatchdogPatience)
        {
            throw new TrainingException(
                $"step {log.StepsDone}: loss {log.Loss:0.####} is above loss_watchdog_threshold {threshold} for "
                + $"{count} log lines in a row; checkpoints written before are intact.");
        }
    }

    // True when early stopping asks to stop.
    private bool Evaluate()
    {
        ReadLosses();
        var started = _parts.Time.GetTimestamp();
        var loss = _evaluator.Loss(_parts.Data.Eval, _evaluationBatches);
        var seconds = _parts.Time.GetElapsedTime(started).TotalSeconds;
        var isBest = _progress.BestLoss is not { } best || loss < best;
        var evaluation = new Evaluation(
            _progress.StepsDone, _progress.Epoch, loss, seconds, _parts.Data.Eval.Length,
            _evaluationBatches.Count, isBest);
        _evaluations.Add(evaluation);
        _progress = isBest
            ? _progress with { BestLoss = loss, BestStep = _progress.StepsDone, EvaluationsSinceBest = 0 }
            : _progress with { EvaluationsSinceBest = _progress.EvaluationsSinceBest + 1 };
        Notify(o => o.OnEvaluated(evaluation));
        return _parts.Config.Evaluation.EarlyStoppingPatience is { } patience
            && _progress.EvaluationsSinceBest >= patience;
    }

    private TrainingProgress Snapshot() => _progress with { Logs = [.. _logs], Evaluations = [.. _evaluations] };

    private void Notify(Action<ITrainingObserver> tell)
    {
        foreach (var observer in _observers)
        {
            tell(observer);
        }
    }
}
