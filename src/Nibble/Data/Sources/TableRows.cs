using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Nibble.Data.Sources;

/// <summary>Rows of CSV files (RFC 4180, names in the first record) and of plain text (one row a line, field
/// <c>text</c>).</summary>
internal static class TableRows
{
    private static readonly List<string> TextNames = ["text"];

    /// <summary>One row a line; an empty line is a row with empty text.</summary>
    /// <param name="path">File.</param>
    public static IEnumerable<Row> ReadText(string path)
    {
        foreach (var line in Utf8Lines.Read(path))
        {
            using var document = ToObject(TextNames, [Encoding.UTF8.GetString(line.Bytes.Span)]);
            yield return new Row(document.RootElement, path, line.Number);
        }
    }

    /// <summary>One row a record; every field is text.</summary>
    /// <param name="path">File.</param>
    public static IEnumerable<Row> ReadCsv(string path)
    {
        List<string>? names = null;
        var record = new StringBuilder();
        var first = 0L;
        foreach (var line in Utf8Lines.Read(path, keepCarriageReturn: true))
        {
            var text = Encoding.UTF8.GetString(line.Bytes.Span);
            if (record.Length == 0)
            {
                first = line.Number;
            }
            else
            {
                record.Append('\n');
            }

            record.Append(text);
            // A line break inside quotes continues the record: then the quotes so far are odd.
            var whole = record.ToString();
            if (whole.AsSpan().Count('"') % 2 != 0)
            {
                continue;
            }

            record.Clear();
            whole = whole.EndsWith('\r') ? whole[..^1] : whole;
            if (whole.Length == 0)
            {
                continue;
            }

            var fields = Split(path, whole, first);
            if (names is null)
            {
                names = fields;
                continue;
            }

            if (fields.Count != names.Count)
            {
                throw new DatasetException(
                    $"{path}:{first}: the record has {fields.Count} fields, the first line names {names.Count}: "
                    + string.Join(", ", names) + ". Quote fields that hold commas or line breaks.");
            }

            using var document = ToObject(names, fields);
            yield return new Row(document.RootElement, path, first);
        }

        if (record.Length > 0)
        {
            throw new DatasetException($"{path}:{first}: a quoted field that begins here never ends.");
        }
    }

    private static List<string> Split(string path, string record, long line)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        for (var at = 0; ; at++)
        {
            field.Clear();
            if (at < record.Length && record[at] == '"')
            {
                at++;
                // Quotes are balanced, so the closing one is there.
                while (record[at] != '"' || (at + 1 < record.Length && record[at + 1] == '"'))
                {
                    at += record[at] == '"' ? 1 : 0;
                    field.Append(record[at++]);
                }

                at++;
                if (at < record.Length && record[at] != ',')
                {
                    throw new DatasetException(
                        $"{path}:{line}: '{record[at]}' after the closing quote of field {fields.Count + 1}; "
                        + "a quote inside a quoted field is written twice.");
                }
            }
            else
            {
                while (at < record.Length && record[at] != ',')
                {
                    field.Append(record[at++]);
                }
            }

            fields.Add(field.ToString());
            if (at >= record.Length)
            {
                return fields;
            }
        }
    }

    private static JsonDocument ToObject(List<string> names, List<string> values)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            for (var i = 0; i < names.Count; i++)
            {
                writer.WriteString(names[i], values[i]);
            }

            writer.WriteEndObject();
        }

        return JsonDocument.Parse(buffer.WrittenMemory);
    }
}
