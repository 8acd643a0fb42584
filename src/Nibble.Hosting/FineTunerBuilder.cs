using Nibble.Config;
using Nibble.Hub;
using Nibble.Training;

namespace Nibble.Hosting;

/// <summary>Progress of a run, for <see cref="IProgress{T}"/>.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="TotalSteps">Steps of the run.</param>
/// <param name="Loss">Latest logged loss, or NaN before the first.</param>
/// <param name="LearningRate">Rate of the step.</param>
/// <param name="Epoch">Epochs done.</param>
public readonly record struct FineTuningProgress(
    int Step, int TotalSteps, double Loss, double LearningRate, double Epoch);

/// <summary>Fine-tunes from a C# program.</summary>
/// <example><code>
/// var result = new FineTunerBuilder("qlora.yml")
///     .Set("max_steps", "20")
///     .ReportTo(new Progress&lt;FineTuningProgress&gt;(p => Show(p.Step, p.Loss)))
///     .Run(cancellationToken);
/// </code></example>
/// <param name="configPath">Axolotl-style YAML.</param>
public sealed class FineTunerBuilder(string configPath)
{
    private readonly List<ConfigOverride> _overrides = [];
    private readonly List<ITrainingObserver> _observers = [];
    private IProgress<HubProgress>? _downloads;
    private Action<string> _warn = _ => { };
    private TimeProvider _time = TimeProvider.System;

    /// <summary>Overrides a config key, as a flag does on the command line.</summary>
    /// <param name="key">Dotted key: <c>learning_rate</c>, <c>datasets.0.path</c>.</param>
    /// <param name="value">YAML value.</param>
    public FineTunerBuilder Set(string key, string value)
    {
        _overrides.Add(new ConfigOverride(key, value));
        return this;
    }

    /// <summary>Adds an observer.</summary>
    /// <param name="observer">Told what happens, on the training thread.</param>
    public FineTunerBuilder Observe(ITrainingObserver observer)
    {
        _observers.Add(observer);
        return this;
    }

    /// <summary>Adds a progress sink.</summary>
    /// <param name="progress">Told after every step.</param>
    public FineTunerBuilder ReportTo(IProgress<FineTuningProgress> progress)
    {
        _observers.Add(new ProgressObserver(progress));
        return this;
    }

    /// <summary>Sets who hears of downloads.</summary>
    /// <param name="progress">Told as bytes come, from one thread at a time.</param>
    public FineTunerBuilder ReportDownloadsTo(IProgress<HubProgress> progress)
    {
        _downloads = progress;
        return this;
    }

    /// <summary>Sets who hears warnings.</summary>
    /// <param name="warn">One line each.</param>
    public FineTunerBuilder WarnTo(Action<string> warn)
    {
        _warn = warn;
        return this;
    }

    /// <summary>Sets the clock.</summary>
    /// <param name="time">Clock.</param>
    public FineTunerBuilder UseTime(TimeProvider time)
    {
        _time = time;
        return this;
    }

    /// <summary>Reads the config, downloads what it names on the Hub, prepares the run and runs it.</summary>
    /// <param name="cancellation">Asks the run to stop after a full checkpoint.</param>
    public FineTuningResult Run(CancellationToken cancellation = default)
    {
        var files = new RunFilesOptions { Progress = _downloads, Warn = _warn };
        var loaded = RunFiles.Find(ConfigLoader.Load(configPath, _overrides), files, cancellation);
        using var run = PreparedRun.Create(loaded, cancellation: cancellation);
        foreach (var warning in run.Loaded.Warnings.Select(w => w.ToString()).Concat(run.Data.Report.Warnings))
        {
            _warn(warning);
        }

        return new FineTuner(run, new FineTunerOptions { Observers = _observers, Warn = _warn, Time = _time })
            .Run(cancellation);
    }

    private sealed class ProgressObserver(IProgress<FineTuningProgress> progress) : ITrainingObserver
    {
        public void OnStep(StepDone step) => progress.Report(new FineTuningProgress(
            step.StepsDone, step.TotalSteps, step.LastLoss, step.LearningRate, step.Epoch));
    }
}
