namespace Nibble.Tracking;

/// <summary>One measured number.</summary>
/// <param name="Name">Name with its section, e.g. <c>train/loss</c>; see <see cref="MetricNames"/>.</param>
/// <param name="Value">Value; NaN and infinities are recorded as such.</param>
public readonly record struct Metric(string Name, double Value);

/// <summary>
/// Receives what happens in one run. Calls arrive from one thread, in order: <see cref="Start"/> once, then any
/// number of the others, then <see cref="Finish"/>. A tracker may throw: <see cref="TrackerGroup"/> turns the first
/// failure into one warning and calls it no more.
/// </summary>
public interface ITracker : IDisposable
{
    /// <summary>Name in <see cref="Trackers.All"/>, for messages.</summary>
    string Name { get; }

    /// <summary>Opens the record of the run.</summary>
    /// <param name="run">Who is running, with which settings.</param>
    void Start(RunDescription run);

    /// <summary>Records metrics of one moment; each call is one row.</summary>
    /// <param name="globalStep">Optimizer steps done (<c>train/global_step</c>).</param>
    /// <param name="epoch">Passes over the training data done, with fraction (<c>train/epoch</c>).</param>
    /// <param name="metrics">Metrics with their sections; step and epoch need not be among them.</param>
    void Log(int globalStep, double epoch, IReadOnlyList<Metric> metrics);

    /// <summary>Records numbers that describe the run as a whole, e.g. <c>train_runtime</c> in seconds.</summary>
    /// <param name="metrics">Names without a section.</param>
    void Summary(IReadOnlyList<Metric> metrics);

    /// <summary>Records something that happened, e.g. a checkpoint that was saved.</summary>
    /// <param name="kind">What happened, in snake case: <c>checkpoint_saved</c>.</param>
    /// <param name="fields">Facts about it; never secrets.</param>
    void Note(string kind, IReadOnlyList<KeyValuePair<string, string>> fields);

    /// <summary>Closes the record.</summary>
    /// <param name="exitCode">0 when the run succeeded; the program's exit code otherwise.</param>
    void Finish(int exitCode);
}
