using System.Globalization;
using System.Text.Json;

namespace Nibble.Tracking;

/// <summary>
/// <c>metrics.jsonl</c> in the output folder: one JSON object per line and event, only ever appended to. Every line has
/// <c>event</c> (<c>start</c>, <c>log</c>, <c>summary</c>, <c>finish</c>, or the kind given to <see cref="Note"/>) and
/// <c>time</c> (UTC, ISO 8601). Lines of kind <c>log</c> carry the metric names as keys, with
/// <c>train/global_step</c> and <c>train/epoch</c> in each; NaN and infinities are the strings <c>"NaN"</c>,
/// <c>"Infinity"</c>, <c>"-Infinity"</c>. A resumed run appends to the same file, beginning with a <c>start</c> line.
/// </summary>
/// <param name="outputDir">Folder of the file; made when it is missing.</param>
/// <param name="time">Clock of the stamps.</param>
public sealed class JsonlTracker(string outputDir, TimeProvider time) : ITracker
{
    /// <summary>Name in the table.</summary>
    public const string TrackerName = "jsonl";

    /// <summary>Name of the file.</summary>
    public const string FileName = "metrics.jsonl";

    private FileStream? _file;

    /// <inheritdoc/>
    public string Name => TrackerName;

    /// <inheritdoc/>
    public void Start(RunDescription run)
    {
        Directory.CreateDirectory(outputDir);
        _file = new FileStream(
            Path.Combine(outputDir, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        EndBrokenLine(_file);
        Append("start", writer =>
        {
            if (run.Project is not null)
            {
                writer.WriteString("project", run.Project);
            }

            writer.WriteString("name", run.Name);
            writer.WriteString("id", run.Id);
            if (run.ResumedFromStep is { } step)
            {
                writer.WriteNumber("resumed_from_step", step);
            }

            writer.WriteStartObject("config");
            foreach ((string key, var value) in run.Config)
            {
                writer.WritePropertyName(key);
                JsonText.WriteNode(writer, value);
            }

            writer.WriteEndObject();
        });
    }

    /// <inheritdoc/>
    public void Log(int globalStep, double epoch, IReadOnlyList<Metric> metrics) => Append("log", writer =>
    {
        writer.WriteNumber(MetricNames.GlobalStep, globalStep);
        JsonText.WriteNumber(writer, MetricNames.Epoch, epoch);
        foreach (Metric metric in metrics)
        {
            if (metric.Name is not (MetricNames.GlobalStep or MetricNames.Epoch))
            {
                JsonText.WriteNumber(writer, metric.Name, metric.Value);
            }
        }
    });

    /// <inheritdoc/>
    public void Summary(IReadOnlyList<Metric> metrics) => Append("summary", writer =>
    {
        foreach (Metric metric in metrics)
        {
            JsonText.WriteNumber(writer, metric.Name, metric.Value);
        }
    });

    /// <inheritdoc/>
    public void Note(string kind, IReadOnlyList<KeyValuePair<string, string>> fields) => Append(kind, writer =>
    {
        writer.WriteStartObject("fields");
        foreach ((string key, string value) in fields)
        {
            writer.WriteString(key, value);
        }

        writer.WriteEndObject();
    });

    /// <inheritdoc/>
    public void Finish(int exitCode)
    {
        Append("finish", writer => writer.WriteNumber("exit_code", exitCode));
        _file?.Flush(flushToDisk: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _file?.Dispose();
        _file = null;
    }

    // A killed run may leave half a line; it stays as it is, and what follows starts on a line of its own.
    private static void EndBrokenLine(FileStream file)
    {
        if (file.Length > 0)
        {
            file.Seek(-1, SeekOrigin.End);
            if (file.ReadByte() != '\n')
            {
                file.WriteByte((byte)'\n');
            }
        }

        file.Seek(0, SeekOrigin.End);
    }

    private void Append(string kind, Action<Utf8JsonWriter> writeFields)
    {
        FileStream file = _file ?? throw new InvalidOperationException("metrics.jsonl is not open: Start comes first");
        byte[] line = JsonText.Compact(writer =>
        {
            writer.WriteStartObject();
            writer.WriteString("event", kind);
            DateTime now = time.GetUtcNow().UtcDateTime;
            writer.WriteString("time", now.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            writeFields(writer);
            writer.WriteEndObject();
        });

        // One write per line: a kill between two writes cannot leave half a line.
        file.Write([.. line, (byte)'\n']);
        file.Flush();
    }
}
