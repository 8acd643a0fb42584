using System.Globalization;
using Nibble.Tensors;

namespace Nibble.Tracking.Wandb;

/// <summary>
/// A W&amp;B run folder on disk, <c>wandb/offline-run-YYYYMMDD_HHMMSS-id/</c>, which <c>wandb sync</c> uploads. Each
/// <see cref="Log"/> is one history row with its own <c>_step</c>; charts use <c>train/global_step</c>. A run that
/// ends without <see cref="Finish"/> syncs as crashed. A resumed run is a new folder, and a new run unless a run id
/// is set.
/// </summary>
/// <param name="settings">W&amp;B settings.</param>
/// <param name="time">Clock and time zone.</param>
/// <param name="warn">Receives one-line warnings.</param>
public sealed class WandbOfflineTracker(WandbSettings settings, TimeProvider time, Action<string> warn) : ITracker
{
    /// <summary>Name in the table.</summary>
    public const string TrackerName = "wandb";

    private const string MinimumConsumer = "0.1";

    private readonly WandbRecords _records = new();
    private readonly Dictionary<string, double> _summary = [];
    private readonly HashSet<string> _defined = [MetricNames.GlobalStep];
    private WandbLog? _log;
    private long _historyStep;
    private long _started;

    /// <inheritdoc/>
    public string Name => TrackerName;

    /// <summary>Folder of the run; empty before <see cref="Start"/>.</summary>
    public string RunDirectory { get; private set; } = string.Empty;

    private static string Version =>
        typeof(WandbOfflineTracker).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    private string FilesDirectory => Path.Combine(RunDirectory, "files");

    private double Runtime => time.GetElapsedTime(_started).TotalSeconds;

    /// <inheritdoc/>
    public void Start(RunDescription run)
    {
        WandbSettings.CheckRunId(run.Id, "run id");
        _started = time.GetTimestamp();
        string hidden = Path.Combine(settings.Directory, ".wandb");
        string root = Directory.Exists(hidden) ? hidden : Path.Combine(settings.Directory, "wandb");
        string stamp = time.GetLocalNow().ToString("yyyyMMdd_HHmmss", CultureInfo.InvariantCulture);
        string folder = $"offline-run-{stamp}-{run.Id}";
        RunDirectory = Path.Combine(root, folder);
        Directory.CreateDirectory(FilesDirectory);
        Directory.CreateDirectory(Path.Combine(RunDirectory, "logs"));

        // Read and write sharing lets "wandb sync" and its viewer open the file while the run goes on.
        _log = new WandbLog(new FileStream(
            Path.Combine(RunDirectory, $"run-{run.Id}.wandb"),
            FileMode.CreateNew,
            FileAccess.Write,
            FileShare.ReadWrite));
        WandbMetadata metadata = WandbMetadata.Collect(run.StartTime);
        _log.Append(_records.Header($"nibble-{Version}", MinimumConsumer));
        _log.Append(_records.Run(run, settings, metadata.Host));
        _log.Append(_records.StepMetric(MetricNames.GlobalStep));
        _log.Append(_records.GlobMetric("*", MetricNames.GlobalStep));
        _log.Append(_records.Environment(metadata));

        WriteFile(WandbFiles.ConfigName, WandbFiles.Config(run, $"nibble-{Version}"));
        WriteFile(WandbFiles.MetadataName, WandbFiles.Metadata(metadata));
        _log.Append(_records.Files([WandbFiles.ConfigName, WandbFiles.MetadataName]));
        PointLatestRun(root, folder);
        Announce();
    }

    /// <inheritdoc/>
    public void Log(int globalStep, double epoch, IReadOnlyList<Metric> metrics)
    {
        WandbLog log = Opened();
        double runtime = Runtime;
        List<KeyValuePair<string, string>> row = [];
        List<KeyValuePair<string, string>> changes = [];
        void Add(string name, double value)
        {
            if (_defined.Add(name))
            {
                log.Append(_records.ExpandedMetric(name, MetricNames.GlobalStep));
            }

            KeyValuePair<string, string> item = new(name, JsonText.Of(value));
            row.Add(item);
            changes.Add(item);
            _summary[name] = value;
        }

        foreach (Metric metric in metrics)
        {
            if (metric.Name is not (MetricNames.GlobalStep or MetricNames.Epoch))
            {
                Add(metric.Name, metric.Value);
            }
        }

        Add(MetricNames.Epoch, epoch);
        Add(MetricNames.GlobalStep, globalStep);
        double timestamp = (time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        AddBookkeeping("_step", _historyStep, row, changes);
        AddBookkeeping("_timestamp", timestamp, row, changes);
        row.Add(new("_runtime", JsonText.Of(runtime)));
        log.Append(_records.History(_historyStep, row));
        log.Append(_records.Summary(changes, (int)runtime));
        _historyStep++;
    }

    /// <inheritdoc/>
    public void Summary(IReadOnlyList<Metric> metrics)
    {
        List<KeyValuePair<string, string>> changes = [];
        foreach (Metric metric in metrics)
        {
            changes.Add(new(metric.Name, JsonText.Of(metric.Value)));
            _summary[metric.Name] = metric.Value;
        }

        Opened().Append(_records.Summary(changes, (int)Runtime));
    }

    /// <summary>Events have no place in a W&amp;B run and are left to the other trackers.</summary>
    /// <param name="kind">What happened.</param>
    /// <param name="fields">Facts about it.</param>
    public void Note(string kind, IReadOnlyList<KeyValuePair<string, string>> fields)
    {
    }

    /// <inheritdoc/>
    public void Finish(int exitCode)
    {
        WandbLog log = Opened();
        int runtime = (int)Runtime;
        log.Append(_records.Summary([], runtime));
        WriteFile(WandbFiles.SummaryName, WandbFiles.Summary(_summary, runtime));
        log.Append(_records.Files([WandbFiles.SummaryName]));
        log.Append(_records.Exit(exitCode, runtime));
        log.Append(_records.Final());
        log.Append(_records.Footer());
        Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _log?.Dispose();
        _log = null;
    }

    private WandbLog Opened() =>
        _log ?? throw new InvalidOperationException("the W&B run is not open: Start comes first, Finish last");

    private void WriteFile(string name, byte[] content) =>
        AtomicFile.WriteAllBytes(Path.Combine(FilesDirectory, name), content);

    private void AddBookkeeping(
        string name,
        double value,
        List<KeyValuePair<string, string>> row,
        List<KeyValuePair<string, string>> changes)
    {
        KeyValuePair<string, string> item = new(name, JsonText.Of(value));
        row.Add(item);
        changes.Add(item);
        _summary[name] = value;
    }

    private void PointLatestRun(string root, string folder)
    {
        string link = Path.Combine(root, "latest-run");
        try
        {
            if (new FileInfo(link).LinkTarget is not null)
            {
                RemoveLink(link);
            }

            Directory.CreateSymbolicLink(link, folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            warn($"W&B: the link {link} to the newest run could not be made ({error.Message}); "
                + "the run is not affected");
        }
    }

    // A link to a folder is a folder on Windows and a file elsewhere.
    private static void RemoveLink(string link)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.Delete(link);
        }
        else
        {
            File.Delete(link);
        }
    }

    private void Announce()
    {
        foreach (string notice in settings.Notices)
        {
            warn($"W&B: {notice}");
        }

        if (settings.Mode == WandbMode.Online)
        {
            warn("W&B: mode online is not supported, nothing is uploaded while training; the run is written offline. "
                + $"Upload it with: wandb sync \"{RunDirectory}\"");
        }
    }
}
