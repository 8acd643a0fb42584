using Nibble.Config;

namespace Nibble.Training;

/// <summary>Learning rate over a run. Source: transformers optimization.py, Axolotl utils/schedulers.py.</summary>
/// <param name="Options">Shape.</param>
/// <param name="PeakRate">Configured learning rate.</param>
/// <param name="WarmupSteps">Steps of warm-up.</param>
/// <param name="TotalSteps">Optimizer steps of the run.</param>
public sealed record LearningRateSchedule(ScheduleOptions Options, double PeakRate, int WarmupSteps, int TotalSteps)
{
    /// <summary>The rate of an update.</summary>
    /// <param name="step">Updates done before it.</param>
    public double At(int step) => PeakRate * Factor(step);

    private double Factor(int step)
    {
        if (Options.Kind == ScheduleKind.Constant)
        {
            return 1;
        }

        if (step < WarmupSteps)
        {
            return step / (double)Math.Max(1, WarmupSteps);
        }

        var rest = (double)Math.Max(1, TotalSteps - WarmupSteps);
        return Options.Kind switch
        {
            ScheduleKind.ConstantWithWarmup => 1,
            ScheduleKind.Linear => Math.Max(0, (TotalSteps - step) / rest),
            ScheduleKind.Cosine => Cosine(step, rest),
            _ => throw new InvalidOperationException($"schedule {Options.Kind} has no formula"),
        };
    }

    private double Cosine(int step, double rest)
    {
        if (Options.CosineMinRatio is not { } least)
        {
            return Math.Max(0, (1 + Math.Cos(Math.PI * (step - WarmupSteps) / rest)) / 2);
        }

        var progress = (step - WarmupSteps) / rest;
        if (Options.CosineConstantRatio is { } constant)
        {
            var held = (int)(TotalSteps * constant);
            progress = (Math.Min(step, held) - WarmupSteps) / (double)Math.Max(1, held - WarmupSteps);
        }

        return ((1 - least) * (1 + Math.Cos(Math.PI * progress)) / 2) + least;
    }
}
