using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Nibble.Tracking;

/// <summary>JSON as the trackers write it: UTF-8 text that people read, without escapes that only HTML needs.</summary>
internal static class JsonText
{
    private static readonly JsonWriterOptions _compact = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly JsonWriterOptions _indented = _compact with
    {
        Indented = true,
        NewLine = "\n",
    };

    /// <summary>What <paramref name="write"/> writes, on one line.</summary>
    internal static byte[] Compact(Action<Utf8JsonWriter> write) => Write(_compact, write);

    /// <summary>What <paramref name="write"/> writes, indented, with a final newline.</summary>
    internal static byte[] Indented(Action<Utf8JsonWriter> write) => [.. Write(_indented, write), (byte)'\n'];

    /// <summary>One JSON value on one line.</summary>
    internal static string Of(JsonNode? node) =>
        Encoding.UTF8.GetString(Compact(writer => WriteNode(writer, node)));

    /// <summary>A string as a JSON literal.</summary>
    internal static string Of(string text) =>
        Encoding.UTF8.GetString(Compact(writer => writer.WriteStringValue(text)));

    /// <summary>
    /// A number as JSON, with the literals <c>NaN</c>, <c>Infinity</c> and <c>-Infinity</c> that W&amp;B's history
    /// allows.
    /// </summary>
    internal static string Of(double value) => value switch
    {
        double.PositiveInfinity => "Infinity",
        double.NegativeInfinity => "-Infinity",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    /// <summary>A property with a number; what JSON has no literal for becomes a string of the same name.</summary>
    internal static void WriteNumber(Utf8JsonWriter writer, string name, double value)
    {
        if (double.IsFinite(value))
        {
            writer.WriteNumber(name, value);
        }
        else
        {
            writer.WriteString(name, Of(value));
        }
    }

    /// <summary>A value of a run's config.</summary>
    internal static void WriteNode(Utf8JsonWriter writer, JsonNode? node)
    {
        if (node is null)
        {
            writer.WriteNullValue();
        }
        else
        {
            node.WriteTo(writer);
        }
    }

    private static byte[] Write(JsonWriterOptions options, Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, options))
        {
            write(writer);
        }

        return buffer.WrittenSpan.ToArray();
    }
}
