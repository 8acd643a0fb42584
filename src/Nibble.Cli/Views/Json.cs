using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Nibble.Cli.Shell;

namespace Nibble.Cli.Views;

/// <summary>Results for machines: one JSON object on standard output.</summary>
internal static class Json
{
    /// <summary>Writes an object.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="members">Writes the members.</param>
    public static void Show(Terminal terminal, Action<Utf8JsonWriter> members)
    {
        using var stream = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(stream, options))
        {
            writer.WriteStartObject();
            members(writer);
            writer.WriteEndObject();
        }

        terminal.Line(Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length));
    }

    /// <summary>A member that is a number, or null where it is absent or not finite.</summary>
    /// <param name="writer">Writer.</param>
    /// <param name="name">Member.</param>
    /// <param name="value">Value.</param>
    public static void Number(this Utf8JsonWriter writer, string name, double? value)
    {
        if (value is { } number && double.IsFinite(number))
        {
            writer.WriteNumber(name, number);
            return;
        }

        writer.WriteNull(name);
    }

    /// <summary>A member that is a list.</summary>
    /// <param name="writer">Writer.</param>
    /// <param name="name">Member.</param>
    /// <param name="items">Items.</param>
    /// <param name="write">Writes one.</param>
    public static void List<T>(this Utf8JsonWriter writer, string name, IEnumerable<T> items, Action<T> write)
    {
        writer.WriteStartArray(name);
        foreach (var item in items)
        {
            write(item);
        }

        writer.WriteEndArray();
    }

    /// <summary>A member that is an object.</summary>
    /// <param name="writer">Writer.</param>
    /// <param name="name">Member.</param>
    /// <param name="members">Writes its members.</param>
    public static void Object(this Utf8JsonWriter writer, string name, Action members)
    {
        writer.WriteStartObject(name);
        members();
        writer.WriteEndObject();
    }

    /// <summary>An item of a list that is an object.</summary>
    /// <param name="writer">Writer.</param>
    /// <param name="members">Writes its members.</param>
    public static void Item(this Utf8JsonWriter writer, Action members)
    {
        writer.WriteStartObject();
        members();
        writer.WriteEndObject();
    }
}
