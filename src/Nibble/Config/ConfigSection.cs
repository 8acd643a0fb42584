namespace Nibble.Config;

/// <summary>One key that was given with a value, after its own checks.</summary>
/// <param name="Spec">Its entry in the table.</param>
/// <param name="Path">Dotted key.</param>
/// <param name="At">Where the key stands.</param>
/// <param name="Node">Its value.</param>
/// <param name="Usable">False when the value is wrong or refused; a finding then says so already.</param>
internal sealed record GivenKey(KeySpec Spec, string Path, Origin At, ConfigNode Node, bool Usable)
{
    /// <summary>Sections below: one for a mapping, one per entry for a list of mappings.</summary>
    public IReadOnlyList<ConfigSection> Sections { get; init; } = [];
}

/// <summary>
/// One checked mapping. Reading a key that is absent, or whose value is wrong, gives the default of the table: a wrong
/// value is reported once, and the rules that follow can still report theirs.
/// </summary>
internal sealed class ConfigSection(KeyLevel level, string prefix, Origin origin)
{
    private readonly Dictionary<string, GivenKey> given = [];

    public Origin Origin { get; } = origin;

    public IEnumerable<GivenKey> Keys => given.Values;

    public string PathOf(string name) => prefix + name;

    public bool TryAdd(GivenKey key) => given.TryAdd(key.Spec.Name, key);

    /// <summary>The key as given, usable or not, or null.</summary>
    public GivenKey? Find(string name) => given.GetValueOrDefault(SpecOf(name).Name);

    public bool Has(string name) => Find(name) is { Usable: true };

    public bool IsTrue(string name) =>
        Find(name)?.Node is ScalarNode node && ScalarReader.TryBoolean(node, out var value) && value;

    public bool Flag(string name) =>
        Scalar(name) is { } node && ScalarReader.TryBoolean(node, out var value) && value;

    public bool? OptionalFlag(string name) => Scalar(name) is null ? null : Flag(name);

    public int? OptionalInteger(string name) =>
        Scalar(name) is { } node && ScalarReader.TryInteger(node, out var value) ? value : null;

    public int Integer(string name) => OptionalInteger(name) ?? 0;

    public double? OptionalNumber(string name) =>
        Scalar(name) is { } node && ScalarReader.TryNumber(node, out var value) ? value : null;

    public double Number(string name) => OptionalNumber(name) ?? 0;

    public long? OptionalSize(string name) =>
        Scalar(name) is { } node && ScalarReader.TrySize(node, out var value) ? value : null;

    /// <summary>Text; booleans of a key that also takes names come as <c>true</c> or <c>false</c>.</summary>
    public string? OptionalText(string name)
    {
        var node = Scalar(name);
        if (node is null)
        {
            return null;
        }

        return (SpecOf(name).Kind & KeyKind.Boolean) != 0 && ScalarReader.IsBooleanWord(node.Text)
            && ScalarReader.TryBoolean(node, out var value) ? (value ? "true" : "false") : node.Text;
    }

    public string Text(string name) => OptionalText(name) ?? "";

    /// <summary>Items of a list; one text counts as a list of one.</summary>
    public IReadOnlyList<string> List(string name)
    {
        var node = Has(name) ? Find(name)!.Node
            : SpecOf(name).Default is { } text ? YamlTreeReader.ReadFlow(text, name)
            : null;
        return node switch
        {
            SequenceNode list => [.. list.Items.OfType<ScalarNode>().Select(item => item.Text)],
            ScalarNode scalar => [scalar.Text],
            _ => [],
        };
    }

    /// <summary>The mapping below a key; an empty one, which gives the defaults, when absent or unusable.</summary>
    public ConfigSection Child(string name) => Has(name) && Find(name)!.Sections.Count > 0
        ? Find(name)!.Sections[0]
        : new ConfigSection(SpecOf(name).Children!, $"{prefix}{name}.", Origin);

    public IReadOnlyList<ConfigSection> Entries(string name) => Has(name) ? Find(name)!.Sections : [];

    private ScalarNode? Scalar(string name)
    {
        if (Has(name) && Find(name)!.Node is ScalarNode node)
        {
            return node;
        }

        return SpecOf(name).Default is { } text ? new ScalarNode(Origin, text, plain: true) : null;
    }

    // A misspelt name in the loader itself must fail at once and not read as "absent".
    private KeySpec SpecOf(string name) =>
        level.Find(name) ?? throw new InvalidOperationException($"The key table has no '{prefix}{name}'.");
}
