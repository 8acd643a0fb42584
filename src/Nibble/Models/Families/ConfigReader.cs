using System.Text.Json;

namespace Nibble.Models.Families;

/// <summary>Typed access to the fields of a <c>config.json</c>, with errors that name file and field.</summary>
/// <param name="path">File, for messages.</param>
/// <param name="root">Its content.</param>
internal sealed class ConfigReader(string path, JsonElement root)
{
    public string Path => path;

    public bool Has(string field) => Find(field) is not null;

    public int Int(string field) => OptionalInt(field) ?? throw Missing(field, "an integer");

    public int? OptionalInt(string field) =>
        Find(field) is not { } e
            ? null
            : e.ValueKind == JsonValueKind.Number && e.TryGetInt32(out var v) ? v : throw Wrong(field, "an integer", e);

    public double Number(string field) => OptionalNumber(field) ?? throw Missing(field, "a number");

    public double? OptionalNumber(string field) =>
        Find(field) is not { } e
            ? null
            : e.ValueKind == JsonValueKind.Number ? e.GetDouble() : throw Wrong(field, "a number", e);

    public bool Flag(string field, bool fallback) => Find(field) is not { } e
        ? fallback
        : e.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? e.GetBoolean()
            : throw Wrong(field, "true or false", e);

    public string? Text(string field) =>
        Find(field) is not { } e
            ? null
            : e.ValueKind == JsonValueKind.String ? e.GetString() : throw Wrong(field, "a string", e);

    public IReadOnlyList<string>? Texts(string field) => Find(field) is not { } e
        ? null
        : e.ValueKind == JsonValueKind.Array
            ? [.. e.EnumerateArray().Select(x => x.GetString() ?? "")]
            : throw Wrong(field, "a list", e);

    public IReadOnlyList<int> Ids(string field) => Find(field) is not { } e
        ? []
        : e.ValueKind == JsonValueKind.Array ? [.. e.EnumerateArray().Select(x => x.GetInt32())] : [Int(field)];

    public ConfigReader? Section(string field) =>
        Find(field) is { ValueKind: JsonValueKind.Object } e ? new ConfigReader($"{path}: {field}", e) : null;

    public ModelFormatException Unsupported(string field, string found, string supported) =>
        new($"{path}: {field}: expected {supported}, found {found}.");

    private JsonElement? Find(string field) =>
        root.ValueKind == JsonValueKind.Object
        && root.TryGetProperty(field, out var e)
        && e.ValueKind != JsonValueKind.Null
            ? e
            : null;

    private ModelFormatException Missing(string field, string expected) =>
        new($"{path}: {field}: expected {expected}, found nothing.");

    private ModelFormatException Wrong(string field, string expected, JsonElement found) =>
        new($"{path}: {field}: expected {expected}, found {found.GetRawText()}.");
}
