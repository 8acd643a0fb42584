using System.Text.Json;

namespace Nibble.Checkpoints;

/// <summary>Typed access to one JSON object of a file; each error names file, key, expected and found.</summary>
/// <param name="File">Path, for messages.</param>
/// <param name="Element">The object.</param>
internal readonly record struct JsonFields(string File, JsonElement Element)
{
    private static readonly JsonDocumentOptions _options = new() { AllowDuplicateProperties = false };

    /// <summary>Reads a file that holds one object.</summary>
    internal static JsonFields Read(string file)
    {
        byte[] bytes;
        try
        {
            bytes = System.IO.File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CheckpointException(file, "a file of that name", "none", e);
        }

        try
        {
            using var document = JsonDocument.Parse(bytes, _options);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new JsonFields(file, document.RootElement.Clone())
                : throw new CheckpointException(file, "a JSON object", document.RootElement.ValueKind.ToString());
        }
        catch (JsonException e)
        {
            throw new CheckpointException(file, "a JSON object", e.Message, e);
        }
    }

    /// <summary>The value of a key, or null when it is absent or null.</summary>
    internal JsonElement? Find(string key) =>
        Element.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    internal string? OptionalString(string key) => Find(key) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(key, "a string", value);

    internal string String(string key) => OptionalString(key) ?? throw Missing(key);

    internal long? OptionalLong(string key) => Find(key) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number)
            ? number
            : throw Wrong(key, "an integer", value);

    internal long Long(string key) => OptionalLong(key) ?? throw Missing(key);

    internal int? OptionalInt(string key) => Find(key) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw Wrong(key, "a 32-bit integer", value);

    internal int Int(string key) => OptionalInt(key) ?? throw Missing(key);

    internal double? OptionalDouble(string key) => Find(key) is not { } value
        ? null
        : value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)
            ? number
            : throw Wrong(key, "a number", value);

    internal double Double(string key) => OptionalDouble(key) ?? throw Missing(key);

    internal bool Bool(string key, bool whenAbsent) => Find(key) is not { } value
        ? whenAbsent
        : value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Wrong(key, "true or false", value),
        };

    internal JsonFields Object(string key) => Find(key) is not { } value
        ? throw Missing(key)
        : value.ValueKind == JsonValueKind.Object
            ? new JsonFields(File, value)
            : throw Wrong(key, "an object", value);

    internal JsonElement Array(string key) => Find(key) is not { } value
        ? throw Missing(key)
        : value.ValueKind == JsonValueKind.Array ? value : throw Wrong(key, "an array", value);

    internal CheckpointException Wrong(string key, string expected, JsonElement found)
    {
        var raw = found.GetRawText();
        return new CheckpointException(File, $"{expected} for '{key}'", raw.Length <= 80 ? raw : raw[..80] + "…");
    }

    private CheckpointException Missing(string key) => new(File, $"the key '{key}'", "none");
}
