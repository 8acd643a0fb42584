using System.Text.Json;
using Nibble.Config;

namespace Nibble.Data.Sources;

/// <summary>One row of a data set: an object with named fields. Valid until the next row of its source is
/// read.</summary>
/// <param name="value">JSON object.</param>
/// <param name="file">File it came from.</param>
/// <param name="line">Line it starts on, from 1.</param>
internal sealed class Row(JsonElement value, string file, long line)
{
    /// <summary>File and line: <c>train.jsonl:12</c>.</summary>
    public string Origin { get; } = $"{file}:{line}";

    /// <summary>The JSON object.</summary>
    public JsonElement Value { get; } = value;

    /// <summary>A field, or null when it is absent or null.</summary>
    /// <param name="field">Field name.</param>
    public JsonElement? Find(string field) =>
        Value.TryGetProperty(field, out var found) && found.ValueKind != JsonValueKind.Null ? found : null;

    /// <summary>Adds every string of the row at any depth, names of fields left out.</summary>
    /// <param name="texts">Takes them.</param>
    /// <exception cref="DatasetException">A string is no text.</exception>
    public void AddStrings(List<string> texts)
    {
        try
        {
            AddStrings(Value, texts);
        }
        catch (InvalidOperationException error)
        {
            throw new DatasetException(
                $"{Origin}: a string holds an escape that is half a surrogate pair, which is no character.", error);
        }
    }

    /// <summary>A field that has to be there.</summary>
    /// <param name="field">Field name.</param>
    /// <param name="setting">What to change in the config when the field has another name, e.g. <c>field</c>.</param>
    /// <exception cref="DatasetException">The row lacks it.</exception>
    public JsonElement Require(string field, string setting)
    {
        if (Find(field) is { } found)
        {
            return found;
        }

        var names = Value.EnumerateObject().Select(property => property.Name).ToList();
        var nearest = NearestName.Find(field, names);
        var problem = names.Contains(field) ? $"field '{field}' is null" : $"the row has no field '{field}'";
        throw new DatasetException(
            $"{Origin}: {problem}; it has {(names.Count == 0 ? "none" : string.Join(", ", names))}."
            + (nearest is null || nearest == field ? string.Empty : $" Did you mean '{nearest}'?") + $" {setting}");
    }

    /// <summary>A text field that has to be there.</summary>
    /// <param name="field">Field name.</param>
    /// <param name="setting">What to change in the config.</param>
    public string RequireText(string field, string setting) => AsText(Require(field, setting), field);

    /// <summary>A text field, or null when it is absent or null.</summary>
    /// <param name="field">Field name.</param>
    public string? FindText(string field) => Find(field) is { } found ? AsText(found, field) : null;

    /// <summary>Refuses a field of the wrong type.</summary>
    /// <param name="field">Field name.</param>
    /// <param name="expected">What it should be.</param>
    /// <param name="found">What it is.</param>
    public DatasetException Wrong(string field, string expected, JsonElement found) =>
        new($"{Origin}: field '{field}' should be {expected}, found {Describe(found)}.");

    /// <summary>Kind and start of a value, for messages.</summary>
    /// <param name="value">Value.</param>
    public static string Describe(JsonElement value)
    {
        var text = value.GetRawText();
        var kind = value.ValueKind switch
        {
            JsonValueKind.True or JsonValueKind.False => "a boolean",
            JsonValueKind.Null => "null",
            JsonValueKind.Array => "an array",
            JsonValueKind.Object => "an object",
            JsonValueKind.Number => "a number",
            _ => "a string",
        };
        return value.ValueKind == JsonValueKind.Null ? kind : $"{kind}: {(text.Length > 60 ? text[..60] + "…" : text)}";
    }

    private string AsText(JsonElement found, string field)
    {
        if (found.ValueKind != JsonValueKind.String)
        {
            throw Wrong(field, "a string", found);
        }

        try
        {
            return found.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new DatasetException(
                $"{Origin}: field '{field}' holds an escape that is half a surrogate pair, which is no character.",
                    error);
        }
    }

    private static void AddStrings(JsonElement value, List<string> texts)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                texts.Add(value.GetString()!);
                break;
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                {
                    AddStrings(property.Value, texts);
                }

                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    AddStrings(item, texts);
                }

                break;
            default:
                break;
        }
    }
}
