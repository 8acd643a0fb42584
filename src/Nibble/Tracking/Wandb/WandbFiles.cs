using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nibble.Tracking.Wandb;

/// <summary>The files beside the log that people and the run page read.</summary>
internal static class WandbFiles
{
    internal const string ConfigName = "config.yaml";
    internal const string SummaryName = "wandb-summary.json";
    internal const string MetadataName = "wandb-metadata.json";

    /// <summary><c>key:</c> and <c>value:</c> per setting; each value is JSON on one line, which is YAML too.</summary>
    internal static byte[] Config(RunDescription run, string version)
    {
        StringBuilder text = new();
        JsonObject own = new() { ["cli_version"] = version };
        Append(text, "_wandb", own);
        foreach ((string key, JsonNode? value) in run.Config)
        {
            Append(text, key, value);
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    internal static byte[] Summary(IEnumerable<KeyValuePair<string, double>> values, int runtimeSeconds) =>
        JsonText.Indented(writer =>
        {
            writer.WriteStartObject();
            foreach ((string key, double value) in values)
            {
                JsonText.WriteNumber(writer, key, value);
            }

            writer.WriteNumber("_runtime", runtimeSeconds);
            writer.WriteStartObject("_wandb");
            writer.WriteNumber("runtime", runtimeSeconds);
            writer.WriteEndObject();
            writer.WriteEndObject();
        });

    internal static byte[] Metadata(WandbMetadata metadata) => JsonText.Indented(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("os", metadata.OperatingSystem);
        writer.WriteString(
            "startedAt",
            metadata.StartedAt.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture));
        writer.WriteString("program", metadata.Program);
        writer.WriteString("root", metadata.Root);
        writer.WriteString("host", metadata.Host);
        writer.WriteString("executable", metadata.Executable);
        writer.WriteNumber("cpu_count", metadata.Processors);
        writer.WriteNumber("cpu_count_logical", metadata.Processors);
        writer.WriteString("writerId", metadata.WriterId);
        writer.WriteEndObject();
    });

    private static void Append(StringBuilder text, string key, JsonNode? value)
    {
        string json = JsonText.Of(value);
        if (value?.GetValueKind() == JsonValueKind.Number && !json.Contains('.', StringComparison.Ordinal))
        {
            // YAML 1.1 reads 1E-08 as text and 1.0E-08 as a number.
            json = json.Replace("E", ".0E", StringComparison.Ordinal);
        }

        text.Append(PlainKey(key) ? key : JsonText.Of(key)).Append(":\n    value: ").Append(json).Append('\n');
    }

    // Plain only where no YAML version reads the word as a boolean, a null or a number.
    private static bool PlainKey(string key)
    {
        foreach (char letter in key)
        {
            if (!char.IsAsciiLetterOrDigit(letter) && letter != '_')
            {
                return false;
            }
        }

        return key.Length > 5 && (char.IsAsciiLetter(key[0]) || key[0] == '_');
    }
}
