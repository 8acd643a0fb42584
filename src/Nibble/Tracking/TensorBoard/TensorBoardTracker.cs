using System.Globalization;
using System.Text.Json.Nodes;

namespace Nibble.Tracking.TensorBoard;

/// <summary>
/// TensorBoard event files at <c>output_dir/runs/MonDD_HH-MM-SS_host</c>, the Trainer's place, with its tags. One
/// event per scalar; the settings appear once as the text <c>args/text_summary</c>. A resumed run gets a folder of
/// its own.
/// </summary>
/// <param name="outputDir">The run's output folder.</param>
/// <param name="time">Clock and time zone.</param>
public sealed class TensorBoardTracker(string outputDir, TimeProvider time) : ITracker
{
    /// <summary>Name in the table.</summary>
    public const string TrackerName = "tensorboard";

    private const string FileVersion = "brain.Event:2";
    private const int DataTypeString = 7;
    private const int DataClassTensor = 2;

    private FileStream? _file;
    private int _lastStep;

    /// <inheritdoc/>
    public string Name => TrackerName;

    /// <summary>Folder of the run; empty before <see cref="Start"/>.</summary>
    public string LogDirectory { get; private set; } = string.Empty;

    /// <inheritdoc/>
    public void Start(RunDescription run)
    {
        string host = Environment.MachineName;
        string stamp = time.GetLocalNow().ToString("MMMdd_HH-mm-ss", CultureInfo.InvariantCulture);
        LogDirectory = Path.Combine(outputDir, "runs", $"{stamp}_{host}");
        Directory.CreateDirectory(LogDirectory);
        _file = CreateFile(host);
        _lastStep = run.ResumedFromStep ?? 0;
        TfRecordWriter.Append(_file, VersionEvent(Now()));
        TfRecordWriter.Append(_file, TextEvent(Now(), _lastStep, "args", SettingsText(run)));
        _file.Flush();
    }

    /// <inheritdoc/>
    public void Log(int globalStep, double epoch, IReadOnlyList<Metric> metrics)
    {
        FileStream file = Opened();
        double now = Now();
        _lastStep = globalStep;
        foreach (Metric metric in metrics)
        {
            if (metric.Name is not (MetricNames.GlobalStep or MetricNames.Epoch))
            {
                TfRecordWriter.Append(file, ScalarEvent(now, globalStep, metric.Name, metric.Value));
            }
        }

        TfRecordWriter.Append(file, ScalarEvent(now, globalStep, MetricNames.Epoch, epoch));
        file.Flush();
    }

    /// <inheritdoc/>
    public void Summary(IReadOnlyList<Metric> metrics)
    {
        FileStream file = Opened();
        double now = Now();
        foreach (Metric metric in metrics)
        {
            string tag = MetricNames.FromTrainer(metric.Name);
            TfRecordWriter.Append(file, ScalarEvent(now, _lastStep, tag, metric.Value));
        }

        file.Flush();
    }

    /// <summary>Events have no place among scalars and are left to the other trackers.</summary>
    /// <param name="kind">What happened.</param>
    /// <param name="fields">Facts about it.</param>
    public void Note(string kind, IReadOnlyList<KeyValuePair<string, string>> fields)
    {
    }

    /// <inheritdoc/>
    public void Finish(int exitCode)
    {
        Opened().Flush(flushToDisk: true);
        Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file?.Dispose();
        _file = null;
    }

    internal static byte[] VersionEvent(double wallTime)
    {
        using ProtoMessage message = new();
        return message.Number(1, wallTime).Text(3, FileVersion).ToArray();
    }

    internal static byte[] ScalarEvent(double wallTime, long step, string tag, double value)
    {
        using ProtoMessage message = new();
        return message.Number(1, wallTime).Integer(2, step)
            .Message(5, summary => summary.Message(1, item => item.Text(1, tag).Number(2, (float)value)))
            .ToArray();
    }

    internal static byte[] TextEvent(double wallTime, long step, string tag, string text)
    {
        using ProtoMessage message = new();
        return message.Number(1, wallTime).Integer(2, step).Message(5, summary => summary.Message(1, item => item
                .Text(1, tag + "/text_summary")
                .Message(8, tensor => tensor
                    .Integer(1, DataTypeString)
                    .Message(2, shape => shape.Message(2, dimension => dimension.Integer(1, 1)))
                    .Texts(8, [text]))
                .Message(9, metadata => metadata
                    .Message(1, plugin => plugin.Text(1, "text"))
                    .Integer(4, DataClassTensor))))
            .ToArray();
    }

    // TensorBoard renders Markdown: a table reads better than JSON on one line.
    private static string SettingsText(RunDescription run)
    {
        System.Text.StringBuilder text = new("| key | value |\n|---|---|\n");
        foreach ((string key, JsonNode? value) in run.Config)
        {
            text.Append("| ").Append(key).Append(" | ")
                .Append(JsonText.Of(value).Replace("|", "\\|", StringComparison.Ordinal)).Append(" |\n");
        }

        return text.ToString();
    }

    private FileStream CreateFile(string host)
    {
        long seconds = time.GetUtcNow().ToUnixTimeSeconds();
        for (int counter = 0; ; counter++)
        {
            string name = $"events.out.tfevents.{seconds:D10}.{host}.{Environment.ProcessId}.{counter}";
            string path = Path.Combine(LogDirectory, name);
            if (!File.Exists(path))
            {
                return new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
            }
        }
    }

    private double Now() => (time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;

    private FileStream Opened() =>
        _file ?? throw new InvalidOperationException("the event file is not open: Start comes first, Finish last");
}
