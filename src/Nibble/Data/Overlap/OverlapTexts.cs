using System.Text;
using System.Text.Json;
using Nibble.Data.Sources;

namespace Nibble.Data.Overlap;

/// <summary>A paragraph of a plain text.</summary>
/// <param name="text">Its lines and the blank lines after it.</param>
/// <param name="origin">File and first line.</param>
internal sealed class Paragraph(string text, string origin)
{
    /// <summary>Its lines and the blank lines after it.</summary>
    public string Text { get; } = text;

    /// <summary>File and first line.</summary>
    public string Origin { get; } = origin;

    /// <summary>Whether it holds a held-out row, or a part of one.</summary>
    public bool Holds { get; set; }
}

/// <summary>The texts of rows and files.</summary>
internal static class OverlapTexts
{
    private static readonly string[] _turnFields = ["messages", "conversations"];
    private static readonly string[] _contentFields = ["content", "value"];
    private static readonly string[] _roleFields = ["role", "from"];

    /// <summary>The parts of a held-out row: contents of its turns without the system's, or every string.</summary>
    /// <param name="row">Row.</param>
    /// <param name="parts">Takes them.</param>
    public static void Collect(Row row, List<string> parts)
    {
        foreach (var field in _turnFields)
        {
            if (row.Find(field) is { ValueKind: JsonValueKind.Array } turns)
            {
                foreach (var turn in turns.EnumerateArray())
                {
                    if (Find(turn, _roleFields) != "system" && Find(turn, _contentFields) is { } content)
                    {
                        parts.Add(content);
                    }
                }

                return;
            }
        }

        row.AddStrings(parts);
    }

    /// <summary>The paragraphs of a text file; together they are the file with LF line ends.</summary>
    /// <param name="path">File in UTF-8.</param>
    public static IEnumerable<Paragraph> Paragraphs(string path)
    {
        var text = new StringBuilder();
        var (start, hasEnded) = (1L, false);
        foreach (var line in Utf8Lines.Read(path))
        {
            var content = Encoding.UTF8.GetString(line.Bytes.Span);
            var isBlank = string.IsNullOrWhiteSpace(content);
            if (hasEnded && !isBlank)
            {
                yield return new Paragraph(text.ToString(), $"{path}:{start}");
                text.Clear();
                (start, hasEnded) = (line.Number, false);
            }

            hasEnded |= isBlank;
            text.Append(content).Append('\n');
        }

        if (text.Length > 0)
        {
            yield return new Paragraph(text.ToString(), $"{path}:{start}");
        }
    }

    private static string? Find(JsonElement turn, string[] fields)
    {
        foreach (var field in fields)
        {
            if (turn.ValueKind == JsonValueKind.Object && turn.TryGetProperty(field, out var found)
                && found.ValueKind == JsonValueKind.String)
            {
                return found.GetString();
            }
        }

        return null;
    }
}
