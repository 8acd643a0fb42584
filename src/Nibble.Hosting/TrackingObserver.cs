using Nibble.Tracking;
using Nibble.Training;

namespace Nibble.Hosting;

/// <summary>Hands a run's events to its trackers.</summary>
internal sealed class TrackingObserver(TrackerGroup trackers, BackendChoice device) : ITrainingObserver
{
    public void OnLogged(LoggedStep log)
    {
        var metrics = new List<Metric>
        {
            new(MetricNames.TrainLoss, log.Loss),
            new(MetricNames.LearningRate, log.LearningRate),
            new(MetricNames.GradNorm, log.GradientNorm),
            new(MetricNames.Epoch, log.Epoch),
            new(MetricNames.GlobalStep, log.StepsDone),
            new(MetricNames.TokensPerSecond, log.TokensPerSecond),
            new(
                MetricNames.MemoryMaxActive,
                (device.ProcessMemoryBytes() ?? Environment.WorkingSet) / (double)(1L << 30)),
        };
        trackers.Log(log.StepsDone, log.Epoch, metrics);
    }

    public void OnEvaluated(Evaluation evaluation) => trackers.Log(
        evaluation.StepsDone,
        evaluation.Epoch,
        [
            new(MetricNames.EvalLoss, evaluation.Loss),
            new(MetricNames.EvalPerplexity, evaluation.Perplexity),
            new(MetricNames.EvalRuntime, evaluation.Seconds),
            new(MetricNames.EvalSamplesPerSecond, evaluation.Samples / Math.Max(evaluation.Seconds, 1e-9)),
            new(MetricNames.EvalStepsPerSecond, evaluation.Batches / Math.Max(evaluation.Seconds, 1e-9)),
        ]);

    public void OnFinished(TrainingEnd end)
    {
        var steps = Math.Max(1, end.Progress.StepsDone);
        trackers.Summary(
        [
            new("train_loss", end.Progress.MeanLoss),
            new("train_runtime", end.Seconds),
            new("train_steps_per_second", steps / Math.Max(end.Seconds, 1e-9)),
        ]);
    }
}
