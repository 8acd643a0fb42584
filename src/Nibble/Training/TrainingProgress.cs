namespace Nibble.Training;

/// <summary>Where a run stands: all that a resumed run needs besides weights and optimizer state.</summary>
public sealed record TrainingProgress
{
    /// <summary>Optimizer steps done.</summary>
    public required int StepsDone { get; init; }

    /// <summary>Epochs done.</summary>
    public required double Epoch { get; init; }

    /// <summary>Sum of the losses of all steps.</summary>
    public required double TotalLoss { get; init; }

    /// <summary>Sum of the losses of steps that have not been logged.</summary>
    public required double UnloggedLoss { get; init; }

    /// <summary>Steps that have not been logged.</summary>
    public required int UnloggedSteps { get; init; }

    /// <summary>Tokens computed in training.</summary>
    public required long Tokens { get; init; }

    /// <summary>Tokens that trained.</summary>
    public required long TrainedTokens { get; init; }

    /// <summary>Best evaluation loss, or null before the first evaluation.</summary>
    public required double? BestLoss { get; init; }

    /// <summary>Steps done at the best evaluation.</summary>
    public required int? BestStep { get; init; }

    /// <summary>Evaluations since the best one.</summary>
    public required int EvaluationsSinceBest { get; init; }

    /// <summary>Consecutive logged losses above the watchdog's threshold.</summary>
    public required int WatchdogCount { get; init; }

    /// <summary>Log lines and evaluations so far, in order.</summary>
    public required IReadOnlyList<LoggedStep> Logs { get; init; }

    /// <summary>Evaluations so far, in order.</summary>
    public required IReadOnlyList<Evaluation> Evaluations { get; init; }

    /// <summary>Mean loss of all steps.</summary>
    public double MeanLoss => StepsDone == 0 ? double.NaN : TotalLoss / StepsDone;

    /// <summary>The state before the first step.</summary>
    public static TrainingProgress Start { get; } = new()
    {
        StepsDone = 0,
        Epoch = 0,
        TotalLoss = 0,
        UnloggedLoss = 0,
        UnloggedSteps = 0,
        Tokens = 0,
        TrainedTokens = 0,
        BestLoss = null,
        BestStep = null,
        EvaluationsSinceBest = 0,
        WatchdogCount = 0,
        Logs = [],
        Evaluations = [],
    };
}
