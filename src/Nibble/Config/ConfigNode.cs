namespace Nibble.Config;

/// <summary>Where a key or value was written: a place in the file, or a flag.</summary>
internal readonly record struct Origin(int Line, int Column, string? Flag)
{
    public static Origin OfFlag(string flag) => new(0, 0, flag);

    public override string ToString() => Flag is null ? $"line {Line}" : $"flag --{Flag}";
}

/// <summary>A YAML value with its origin. The tree is mutable only while flags are laid over it.</summary>
internal abstract class ConfigNode(Origin origin)
{
    public Origin Origin { get; } = origin;

    /// <summary>The value in words, cut to a length that fits a message.</summary>
    public abstract string Describe();

    /// <summary>
    /// The value as one line. What is below a mapping is not shown: an unknown key there may be a secret.
    /// </summary>
    public abstract string Flat();

    protected static string Cut(string text) => text.Length <= 80 ? text : string.Concat(text.AsSpan(0, 77), "...");
}

/// <summary>Text, number, boolean or null: which one is decided by the key it stands for.</summary>
internal sealed class ScalarNode(Origin origin, string text, bool plain) : ConfigNode(origin)
{
    public string Text { get; } = text;

    /// <summary>Written without quotes, so that it may be a number, a boolean or null.</summary>
    public bool Plain { get; } = plain;

    public override string Describe()
    {
        if (Plain && ScalarReader.IsNull(this))
        {
            return "nothing";
        }

        if (Plain && ScalarReader.TryNumber(this, out _))
        {
            return $"the number {Cut(Text)}";
        }

        return Plain && ScalarReader.IsBooleanWord(Text) ? $"the boolean {Text}" : $"the text '{Flat()}'";
    }

    public override string Flat() => Cut(Text.ReplaceLineEndings("\\n"));
}

/// <summary>A YAML sequence.</summary>
internal sealed class SequenceNode(Origin origin, List<ConfigNode> items) : ConfigNode(origin)
{
    public List<ConfigNode> Items { get; } = items;

    public override string Describe() => Items.Count == 0 ? "an empty list" : $"a list of {Items.Count}";

    public override string Flat() => Items.TrueForAll(item => item is ScalarNode)
        ? Cut("[" + string.Join(", ", Items.Select(item => item.Flat())) + "]")
        : Describe();
}

/// <summary>A YAML mapping in the order written.</summary>
internal sealed class MappingNode(Origin origin, List<MappingEntry> entries) : ConfigNode(origin)
{
    public List<MappingEntry> Entries { get; } = entries;

    public override string Describe() => Entries.Count == 0 ? "an empty mapping" : "a mapping";

    public override string Flat() => Describe();
}

/// <summary>One key of a mapping.</summary>
internal sealed record MappingEntry(string Key, Origin Origin, ConfigNode Value);
