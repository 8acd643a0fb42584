namespace Nibble.Tracking;

/// <summary>
/// Several trackers behind one. No call throws: a tracker that fails is reported once, closed, and left out from then
/// on, so a full disk or a bad folder costs the record, not the training.
/// </summary>
/// <param name="trackers">Trackers; the group owns and disposes them.</param>
/// <param name="warn">Receives one line per tracker that was switched off.</param>
public sealed class TrackerGroup(IEnumerable<ITracker> trackers, Action<string> warn) : ITracker
{
    private readonly List<ITracker> _active = [.. trackers];

    /// <inheritdoc/>
    public string Name => "group";

    /// <summary>Trackers that still record.</summary>
    public IReadOnlyList<ITracker> Active => _active;

    /// <inheritdoc/>
    public void Start(RunDescription run)
    {
        RunDescription clean = run with { Config = ConfigSnapshot.WithoutSecrets(run.Config) };
        Each(tracker => tracker.Start(clean));
    }

    /// <inheritdoc/>
    public void Log(int globalStep, double epoch, IReadOnlyList<Metric> metrics) =>
        Each(tracker => tracker.Log(globalStep, epoch, metrics));

    /// <inheritdoc/>
    public void Summary(IReadOnlyList<Metric> metrics) => Each(tracker => tracker.Summary(metrics));

    /// <inheritdoc/>
    public void Note(string kind, IReadOnlyList<KeyValuePair<string, string>> fields) =>
        Each(tracker => tracker.Note(kind, fields));

    /// <inheritdoc/>
    public void Finish(int exitCode) => Each(tracker => tracker.Finish(exitCode));

    /// <inheritdoc/>
    public void Dispose()
    {
        Each(tracker => tracker.Dispose());
        _active.Clear();
    }

    private void Each(Action<ITracker> call)
    {
        for (int i = 0; i < _active.Count;)
        {
            ITracker tracker = _active[i];
            try
            {
                call(tracker);
                i++;
            }
            catch (Exception error)
            {
                _active.RemoveAt(i);
                warn($"tracker '{tracker.Name}' failed and is switched off for the rest of the run; training goes on. "
                    + $"{error.GetType().Name}: {error.Message}");
                Close(tracker);
            }
        }
    }

    private static void Close(ITracker tracker)
    {
        try
        {
            tracker.Dispose();
        }
        catch (Exception)
        {
            // The first failure was reported; closing the same broken file may repeat it and has nothing to add.
        }
    }
}
