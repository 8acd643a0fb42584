namespace Nibble.Config;

/// <summary>
/// Every key of a run: schema, default, documentation and status in one place. The loader, the printer and
/// <c>docs/config.md</c> are all made from it. A new key is one line here and its use in <see
/// cref="RunConfigBuilder"/>.
/// </summary>
internal static partial class KeyTable
{
    /// <summary>The topics in the order of the documentation.</summary>
    public static IReadOnlyList<(string Title, IReadOnlyList<KeySpec> Keys)> Topics { get; } =
    [
        ("Model", ModelKeys()),
        ("Quantisation", QuantizationKeys()),
        ("LoRA", LoraKeys()),
        ("Data", DataKeys()),
        ("Sequence and packing", SequenceKeys()),
        ("Batch and steps", BatchKeys()),
        ("Optimizer and schedule", OptimizerKeys()),
        ("Evaluation", EvaluationKeys()),
        ("Saving and resuming", SaveKeys()),
        ("Precision, memory and speed", EngineKeys()),
        ("Logging", LoggingKeys()),
        ("Other methods and launchers", OtherKeys()),
    ];

    /// <summary>The top level of the file.</summary>
    public static KeyLevel Root { get; } = new([.. Topics.SelectMany(topic => topic.Keys)]);

    /// <summary>Every mapping below the top, with the path that leads to it.</summary>
    public static IReadOnlyList<(string Path, KeyLevel Level)> Nested { get; } = [.. NestedOf(Root, "")];

    /// <summary>
    /// Whether an unknown key looks like a credential. Such a key is refused even where unknown keys pass, and its
    /// value never leaves the tree.
    /// </summary>
    public static bool IsSecret(string name)
    {
        var last = name[(name.LastIndexOf('.') + 1)..].Replace('-', '_').ToUpperInvariant();
        return last.EndsWith("API_KEY", StringComparison.Ordinal) || last.EndsWith("APIKEY", StringComparison.Ordinal)
            || last == "TOKEN" || last.EndsWith("_TOKEN", StringComparison.Ordinal)
            || last.EndsWith("PASSWORD", StringComparison.Ordinal) || last.EndsWith("SECRET", StringComparison.Ordinal);
    }

    private static IEnumerable<(string, KeyLevel)> NestedOf(KeyLevel level, string prefix)
    {
        foreach (var key in level.Keys.Where(key => key.Children is not null))
        {
            var path = prefix + key.Name + ((key.Kind & KeyKind.EntryList) != 0 ? "[]" : "");
            yield return (path, key.Children!);
            foreach (var below in NestedOf(key.Children!, path + "."))
            {
                yield return below;
            }
        }
    }

    private static KeySpec Key(
        string name,
        KeyKind kind,
        string doc,
        string? value = null,
        string? note = null,
        ValueRange? range = null,
        string[]? allowed = null,
        string[]? aliases = null,
        KeySpec[]? children = null) => new()
        {
            Name = name,
            Kind = kind,
            Status = KeyStatus.Honoured,
            Doc = doc,
            Default = value,
            DefaultNote = note,
            Range = range,
            Allowed = allowed ?? [],
            Aliases = aliases ?? [],
            Children = children is null ? null : new KeyLevel(children),
        };

    private static KeySpec BuiltIn(string name, KeyKind kind, string why, params string[] allowed) => new()
    {
        Name = name,
        Kind = kind,
        Status = KeyStatus.Equivalent,
        Doc = why,
        Allowed = allowed,
    };

    private static KeySpec Refuse(string name, KeyKind kind, string why, params string[] off) => new()
    {
        Name = name,
        Kind = kind,
        Status = KeyStatus.Refused,
        Doc = why,
        Off = off,
    };

    private static KeySpec Later(string name, KeyKind kind, string what, params string[] off) => new()
    {
        Name = name,
        Kind = kind,
        Status = KeyStatus.Later,
        Doc = what,
        Off = off,
    };
}
