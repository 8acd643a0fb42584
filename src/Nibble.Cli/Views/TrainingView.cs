using System.Globalization;
using Nibble.Cli.Shell;
using Nibble.Hosting;
using Nibble.Training;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>
/// A run as it goes: on a terminal one line that is redrawn, elsewhere a line per logging interval; evaluations and
/// checkpoints are lines in both.
/// </summary>
/// <param name="terminal">Where to.</param>
/// <param name="time">Clock.</param>
internal sealed class TrainingView(Terminal terminal, TimeProvider time) : ITrainingObserver
{
    // The longest line of numbers; what is left of the terminal's width is the bar's.
    private const int NumbersWidth = 76;

    private ProgressTask? _task;
    private LoggedStep? _lastLog;
    private int _firstStep;
    private int _totalSteps;
    private long _startedAt;
    private long _tokens;

    /// <summary>Runs work under this display.</summary>
    /// <param name="work">The training.</param>
    public T Show<T>(Func<T> work)
    {
        if (!terminal.IsLive)
        {
            return work();
        }

        return terminal.Console.Progress()
            .AutoClear(true)
            .Columns(
                new ProgressBarColumn { Width = Math.Clamp(terminal.Console.Profile.Width - NumbersWidth, 4, 40) },
                new TaskDescriptionColumn { Alignment = Justify.Left })
            .Start(context =>
            {
                _task = context.AddTask("starting", maxValue: 1);
                try
                {
                    return work();
                }
                finally
                {
                    _task.StopTask();
                    _task = null;
                }
            });
    }

    /// <summary>Says what is happening before and after the steps.</summary>
    /// <param name="stage">In words.</param>
    public void OnStage(string stage)
    {
        if (_task is { } task)
        {
            task.Description = Markup.Escape(stage);
            return;
        }

        terminal.Line(stage);
    }

    /// <summary>A checkpoint has been written.</summary>
    /// <param name="saved">Which, and what rotation removed.</param>
    public void OnSaved(CheckpointSaved saved) => Line(
        $"step {saved.Step}: wrote {saved.Folder}"
        + (saved.Removed.Count == 0 ? "" : $", removed {string.Join(", ", saved.Removed.Select(Path.GetFileName))}"));

    /// <inheritdoc/>
    public void OnStarted(TrainingStart start)
    {
        (_firstStep, _totalSteps, _startedAt, _tokens) = (start.FirstStep, start.TotalSteps, time.GetTimestamp(), 0);
        if (start.FirstStep > 0)
        {
            Line($"resuming after step {start.FirstStep} of {start.TotalSteps}");
        }

        if (_task is { } task)
        {
            task.MaxValue = start.TotalSteps;
            task.Value = start.FirstStep;
            task.Description = Markup.Escape(start.Timeline.Evaluates && start.FirstStep == 0
                ? "evaluating before the first step"
                : "first step");
        }
    }

    /// <inheritdoc/>
    public void OnStep(StepDone step)
    {
        _tokens += step.Tokens;
        if (_task is { } task)
        {
            task.Value = step.StepsDone;
            task.Description = Markup.Escape(
                $"step {step.StepsDone}/{step.TotalSteps}  loss {Words.Loss(step.LastLoss)}  lr "
                + $"{Words.Rate(step.LearningRate)}  {Words.Count((long)TokensPerSecond())} tokens/s  "
                + $"{Words.Duration(SecondsLeft(step.StepsDone))} left");
        }
    }

    /// <inheritdoc/>
    public void OnLogged(LoggedStep log)
    {
        _lastLog = log;
        if (_task is null)
        {
            terminal.Line(string.Create(
                CultureInfo.InvariantCulture,
                $"step {log.StepsDone}/{_totalSteps}: loss {Words.Loss(log.Loss)}, lr {Words.Rate(log.LearningRate)}, "
                + $"grad norm {log.GradientNorm:0.0000}, ")
                + $"epoch {log.Epoch.ToString("0.00", CultureInfo.InvariantCulture)}, "
                + $"{Words.Count((long)log.TokensPerSecond)} tokens/s, "
                + $"{Words.Duration(SecondsLeft(log.StepsDone))} left");
        }
    }

    /// <inheritdoc/>
    public void OnEvaluated(Evaluation evaluation)
    {
        Line($"step {evaluation.StepsDone}: eval loss {Words.Loss(evaluation.Loss)}, perplexity "
            + $"{evaluation.Perplexity.ToString("0.000", CultureInfo.InvariantCulture)} ({evaluation.Samples} rows, "
            + $"{Words.Duration(evaluation.Seconds)})"
            + (evaluation.IsBest && evaluation.StepsDone > 0 ? ", the best so far" : ""));
        if (evaluation.StepsDone == _firstStep)
        {
            _startedAt = time.GetTimestamp();
        }
    }

    private void Line(string text)
    {
        if (_task is null)
        {
            terminal.Line(text);
            return;
        }

        // Through the console that redraws: it puts the line above the bar.
        terminal.Console.MarkupLine(Markup.Escape(text));
    }

    private double TokensPerSecond() =>
        _lastLog?.TokensPerSecond ?? _tokens / Math.Max(1e-9, time.GetElapsedTime(_startedAt).TotalSeconds);

    private double SecondsLeft(int stepsDone) =>
        time.GetElapsedTime(_startedAt).TotalSeconds / Math.Max(1, stepsDone - _firstStep) * (_totalSteps - stepsDone);
}
