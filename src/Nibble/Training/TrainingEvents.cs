using Nibble.Planning;

namespace Nibble.Training;

/// <summary>Told what happens in a run, in order, on the training thread.</summary>
public interface ITrainingObserver
{
    /// <summary>Before the first step.</summary>
    /// <param name="start">The run.</param>
    void OnStarted(TrainingStart start)
    {
    }

    /// <summary>After every optimizer step; on a GPU the step may still be running.</summary>
    /// <param name="step">The step.</param>
    void OnStep(StepDone step)
    {
    }

    /// <summary>After every logging interval.</summary>
    /// <param name="log">Losses since the last one.</param>
    void OnLogged(LoggedStep log)
    {
    }

    /// <summary>After every evaluation.</summary>
    /// <param name="evaluation">Its result.</param>
    void OnEvaluated(Evaluation evaluation)
    {
    }

    /// <summary>A checkpoint is due; the trainer waits.</summary>
    /// <param name="due">Why, and how to read the state.</param>
    void OnCheckpointDue(CheckpointDue due)
    {
    }

    /// <summary>After the last step, or after the step that was running when the run was interrupted.</summary>
    /// <param name="end">How it ended.</param>
    void OnFinished(TrainingEnd end)
    {
    }
}

/// <summary>A run about to start.</summary>
/// <param name="FirstStep">Steps done already; above 0 when resumed.</param>
/// <param name="TotalSteps">Steps of the run.</param>
/// <param name="Timeline">When it logs, evaluates, saves.</param>
public sealed record TrainingStart(int FirstStep, int TotalSteps, RunTimeline Timeline);

/// <summary>One optimizer step, enqueued.</summary>
/// <param name="StepsDone">From 1.</param>
/// <param name="TotalSteps">Steps of the run.</param>
/// <param name="Epoch">Epochs done.</param>
/// <param name="LearningRate">Rate of the step.</param>
/// <param name="Tokens">Tokens of the step.</param>
/// <param name="LastLoss">Latest logged loss, or NaN before the first.</param>
public readonly record struct StepDone(
    int StepsDone, int TotalSteps, double Epoch, double LearningRate, int Tokens, double LastLoss);

/// <summary>A logging interval.</summary>
/// <param name="StepsDone">Steps done.</param>
/// <param name="Epoch">Epochs done.</param>
/// <param name="Loss">Mean of the step losses since the last log.</param>
/// <param name="GradientNorm">Norm of the last step before clipping.</param>
/// <param name="LearningRate">Rate of the last step.</param>
/// <param name="TokensPerSecond">Tokens (padding does not exist) per second since the
/// last log, evaluation left out.</param>
public sealed record LoggedStep(
    int StepsDone, double Epoch, double Loss, double GradientNorm, double LearningRate, double TokensPerSecond);

/// <summary>An evaluation.</summary>
/// <param name="StepsDone">Steps done; 0 before the first.</param>
/// <param name="Epoch">Epochs done.</param>
/// <param name="Loss">Σ cross-entropy over all trained tokens of the evaluation rows ÷ their number (or the mean over
/// batches of batch means with <c>loss_normalization: sequence</c>).</param>
/// <param name="Seconds">Duration.</param>
/// <param name="Samples">Rows.</param>
/// <param name="Batches">Batches.</param>
/// <param name="IsBest">Whether no earlier evaluation was better.</param>
public sealed record Evaluation(
    int StepsDone, double Epoch, double Loss, double Seconds, int Samples, int Batches, bool IsBest)
{
    /// <summary>e^loss.</summary>
    public double Perplexity => Math.Exp(Loss);
}

/// <summary>Why a checkpoint is due.</summary>
public enum CheckpointReason
{
    /// <summary>Its turn on the timeline.</summary>
    Scheduled,

    /// <summary>The run was asked to stop.</summary>
    Interrupted,
}

/// <summary>A due checkpoint.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Progress">Where the run stands.</param>
public sealed record CheckpointDue(CheckpointReason Reason, TrainingProgress Progress);

/// <summary>How a run ended.</summary>
public enum TrainingOutcome
{
    /// <summary>All steps done.</summary>
    Completed,

    /// <summary>Stopped by the early-stopping rule.</summary>
    StoppedEarly,

    /// <summary>Stopped by the caller after a full checkpoint.</summary>
    Interrupted,
}

/// <summary>The end of a run.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Progress">Where it stands.</param>
/// <param name="Seconds">Duration of this process's training.</param>
/// <param name="StepSeconds">Time spent in optimizer steps alone.</param>
public sealed record TrainingEnd(
    TrainingOutcome Outcome, TrainingProgress Progress, double Seconds, double StepSeconds);

/// <summary>Training cannot go on.</summary>
/// <param name="message">What, where, what to do.</param>
public sealed class TrainingException(string message) : Exception(message);
