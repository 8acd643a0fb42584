using System.Text.Json.Nodes;

namespace Nibble.Tracking.Wandb;

/// <summary>
/// The records of a <c>.wandb</c> file, numbered from 1 in the order they are made. Field numbers are those of wandb's
/// <c>wandb_internal.proto</c>.
/// </summary>
internal sealed class WandbRecords
{
    private long _number;

    internal byte[] Header(string producer, string minimumConsumer) =>
        Record(21, header => header.Message(1, version => version.Text(1, producer).Text(2, minimumConsumer)));

    internal byte[] Run(RunDescription run, WandbSettings settings, string host) => Record(17, record =>
    {
        record.Text(1, run.Id).Text(2, settings.Entity).Text(3, run.Project);
        record.Message(4, config =>
        {
            foreach ((string key, JsonNode? value) in run.Config)
            {
                config.Message(1, item => item.Text(1, key).Text(16, JsonText.Of(value)));
            }
        });
        record.Text(6, settings.Group).Text(7, settings.JobType).Text(8, run.Name).Text(9, settings.Notes);
        record.Texts(10, settings.Tags).Text(13, host).Timestamp(17, run.StartTime);
        record.Flag(18, run.ResumedFromStep is not null);
    });

    /// <summary>A metric that other metrics may use as their step.</summary>
    internal byte[] StepMetric(string name) =>
        Record(12, metric => metric.Text(1, name).Message(6, options => options.Flag(3, true)));

    /// <summary>
    /// Every name that matches <paramref name="glob"/> is plotted over <paramref name="stepMetric"/>.
    /// </summary>
    internal byte[] GlobMetric(string glob, string stepMetric) => Record(12, metric => metric
        .Text(2, glob).Text(4, stepMetric).Message(6, options => options.Flag(1, true).Flag(3, true)));

    /// <summary>
    /// The definition that a glob means for one name; <c>wandb sync</c> does not expand globs itself.
    /// </summary>
    internal byte[] ExpandedMetric(string name, string stepMetric) => Record(12, metric => metric
        .Text(1, name).Text(4, stepMetric).Message(6, options => options.Flag(1, true)).Flag(10, true));

    internal byte[] Environment(WandbMetadata metadata) => Record(26, record => record
        .Text(1, metadata.OperatingSystem)
        .Timestamp(3, metadata.StartedAt)
        .Text(6, metadata.Program)
        .Text(11, metadata.Root)
        .Text(12, metadata.Host)
        .Text(14, metadata.Executable)
        .Integer(16, metadata.Processors)
        .Integer(17, metadata.Processors)
        .Text(199, metadata.WriterId));

    /// <summary>Files of the run's <c>files/</c> folder to upload when the run ends.</summary>
    internal byte[] Files(IEnumerable<string> paths) => Record(6, record =>
    {
        foreach (string path in paths)
        {
            record.Message(1, file => file.Text(1, path).Integer(2, 1).Integer(3, 1));
        }
    });

    /// <summary>One row: flat keys as one-element nested keys, values as JSON text.</summary>
    internal byte[] History(long step, IEnumerable<KeyValuePair<string, string>> items) => Record(2, record =>
    {
        foreach ((string key, string json) in items)
        {
            record.Message(1, item => item.Text(2, key).Text(16, json));
        }

        record.Message(2, number => number.Integer(1, step));
    });

    internal byte[] Summary(IEnumerable<KeyValuePair<string, string>> items, int runtimeSeconds) => Record(3, record =>
    {
        string runtime = JsonText.Of(runtimeSeconds);
        record.Message(1, item => item.Texts(2, ["_wandb", "runtime"]).Text(16, runtime));
        record.Message(1, item => item.Text(1, "_runtime").Text(16, runtime));
        foreach ((string key, string json) in items)
        {
            record.Message(1, item => item.Text(1, key).Text(16, json));
        }
    });

    internal byte[] Exit(int exitCode, int runtimeSeconds) =>
        Record(18, record => record.Integer(1, exitCode).Integer(2, runtimeSeconds));

    internal byte[] Final() => Record(20, _ => { });

    internal byte[] Footer() => Record(22, _ => { });

    private byte[] Record(int field, Action<ProtoMessage> write)
    {
        using ProtoMessage record = new();
        return record.Integer(1, ++_number).Message(field, write).ToArray();
    }
}
