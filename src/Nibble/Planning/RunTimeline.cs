using Nibble.Config;
using Nibble.Data.Packing;

namespace Nibble.Planning;

/// <summary>When a run logs, evaluates and saves: resolved once, shown before the first
/// step, obeyed by the trainer.</summary>
public sealed class RunTimeline
{
    private readonly RunConfig _config;
    private readonly int? _evalInterval;
    private readonly int? _saveInterval;

    /// <summary>Resolves the intervals of a run.</summary>
    /// <param name="config">The run.</param>
    /// <param name="order">Its steps.</param>
    /// <param name="hasEvaluationData">Whether there is anything to evaluate on.</param>
    public RunTimeline(RunConfig config, TrainingOrder order, bool hasEvaluationData)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(order);
        _config = config;
        TotalSteps = order.TotalSteps;
        StepsPerEpoch = order.StepsPerEpoch;
        Evaluates = hasEvaluationData && config.Evaluation.Every.Kind != IntervalKind.Never;
        _evalInterval = config.Evaluation.Every.InSteps(TotalSteps);
        _saveInterval = config.Save.Every.InSteps(TotalSteps);
        LoggingSteps = config.Logging.Steps ?? Math.Max(Math.Min((int)(0.005 * TotalSteps), 10), 1);
        WarmupSteps = Warmup(config.Schedule, TotalSteps);
    }

    /// <summary>Optimizer steps of the run.</summary>
    public int TotalSteps { get; }

    /// <summary>Optimizer steps of the first epoch.</summary>
    public int StepsPerEpoch { get; }

    /// <summary>Steps between two log lines.</summary>
    public int LoggingSteps { get; }

    /// <summary>Steps of warm-up.</summary>
    public int WarmupSteps { get; }

    /// <summary>Whether evaluations happen, one before the first step included.</summary>
    public bool Evaluates { get; }

    /// <summary>Whether a log line follows a step.</summary>
    /// <param name="stepsDone">Steps done, from 1.</param>
    public bool LogsAfter(int stepsDone) => stepsDone % LoggingSteps == 0 || stepsDone == TotalSteps;

    /// <summary>Whether an evaluation follows a step; the last step is always evaluated.</summary>
    /// <param name="stepsDone">Steps done, from 1.</param>
    /// <param name="endsEpoch">Whether the step ends an epoch.</param>
    public bool EvaluatesAfter(int stepsDone, bool endsEpoch) =>
        Evaluates && (Due(_config.Evaluation.Every, _evalInterval, stepsDone, endsEpoch) || stepsDone == TotalSteps);

    /// <summary>Whether a checkpoint follows a step; the last step always has one unless saving is off.</summary>
    /// <param name="stepsDone">Steps done, from 1.</param>
    /// <param name="endsEpoch">Whether the step ends an epoch.</param>
    public bool SavesAfter(int stepsDone, bool endsEpoch) =>
        _config.Save.Every.Kind != IntervalKind.Never
        && (Due(_config.Save.Every, _saveInterval, stepsDone, endsEpoch) || stepsDone == TotalSteps
            || (stepsDone == 1 && _config.Save.FirstStep));

    /// <summary>Steps followed by an evaluation, 0 for the one before the first step.</summary>
    /// <param name="order">The run's steps.</param>
    public IReadOnlyList<int> EvaluationPoints(TrainingOrder order) =>
        Evaluates ? [0, .. Points(order, EvaluatesAfter)] : [];

    /// <summary>Steps followed by a checkpoint.</summary>
    /// <param name="order">The run's steps.</param>
    public IReadOnlyList<int> SavePoints(TrainingOrder order) => Points(order, SavesAfter);

    private List<int> Points(TrainingOrder order, Func<int, bool, bool> follows)
    {
        ArgumentNullException.ThrowIfNull(order);
        var points = new List<int>();
        for (var step = 1; step <= TotalSteps; step++)
        {
            if (follows(step, order.GetStep(step - 1).EndsEpoch))
            {
                points.Add(step);
            }
        }

        return points;
    }

    private static bool Due(Interval interval, int? steps, int stepsDone, bool endsEpoch) =>
        interval.Kind == IntervalKind.Epoch ? endsEpoch : steps is { } n && n > 0 && stepsDone % n == 0;

    // Axolotl: given steps, else ratio, else min(int(0.03 total), 100); one step of warm-up becomes two.
    private static int Warmup(ScheduleOptions schedule, int totalSteps)
    {
        if (schedule.WarmupSteps is { } given)
        {
            return given;
        }

        var derived =
            schedule.WarmupRatio is { } ratio ? (int)(ratio * totalSteps) : Math.Min((int)(0.03 * totalSteps), 100);
        return derived == 1 ? 2 : derived;
    }
}
