namespace Nibble.Config;

/// <summary>What YAML may hold under a key; several flags together mean any of them.</summary>
[Flags]
internal enum KeyKind
{
    Boolean = 1,
    Integer = 2,
    Number = 4,
    Text = 8,
    TextList = 16,
    Mapping = 32,
    EntryList = 64,
    Size = 128,
    Anything = 256,
}

/// <summary>Numbers a key takes.</summary>
internal sealed record ValueRange(double Low, double High, bool WithoutLow = false, bool WithoutHigh = false)
{
    public static ValueRange AtLeast(double low) => new(low, double.PositiveInfinity);

    public static ValueRange Above(double low) => new(low, double.PositiveInfinity, WithoutLow: true);

    /// <summary>A share below 1 or a count that fits 32 bits.</summary>
    public static ValueRange Count { get; } = new(0, int.MaxValue, WithoutLow: true);

    public bool Holds(double value) =>
        (WithoutLow ? value > Low : value >= Low) && (WithoutHigh ? value < High : value <= High);

    public override string ToString() => double.IsInfinity(High)
        ? $"{(WithoutLow ? "above" : "at least")} {Low}"
        : $"from {Low} to {High}{(WithoutLow ? $", {Low} excluded" : "")}{(WithoutHigh ? $", {High} excluded" : "")}";
}

/// <summary>One key of the schema: what it takes, what it does without, and what becomes of it.</summary>
internal sealed record KeySpec
{
    public required string Name { get; init; }

    public required KeyKind Kind { get; init; }

    public required KeyStatus Status { get; init; }

    /// <summary>One line: what it does; for a refused key why, and what to use.</summary>
    public required string Doc { get; init; }

    /// <summary>Value as YAML when the key is absent, or null for none. The loader reads this very text.</summary>
    public string? Default { get; init; }

    /// <summary>In words what an absent key means, where that is no constant.</summary>
    public string? DefaultNote { get; init; }

    public IReadOnlyList<string> Allowed { get; init; } = [];

    public ValueRange? Range { get; init; }

    /// <summary>Other names of the key.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>Values besides false, null and the empty list that leave a refused feature off, and so pass.</summary>
    public IReadOnlyList<string> Off { get; init; } = [];

    /// <summary>Keys below a mapping or below each entry of a list; null when there are none, or any.</summary>
    public KeyLevel? Children { get; init; }

    /// <summary>For a mapping with names of the user's own: what stands under each.</summary>
    public KeySpec? AnyChild { get; init; }

    public bool IsRefused => Status is KeyStatus.Refused or KeyStatus.Later;

    /// <summary>What the key takes, in words.</summary>
    public string Expectation
    {
        get
        {
            var parts = new List<string>();
            Add(KeyKind.Boolean, "true or false");
            Add(KeyKind.Integer, "a whole number");
            Add(KeyKind.Number, "a number");
            Add(KeyKind.Text, Allowed.Count > 0 ? "one of the allowed names" : "text");
            Add(KeyKind.Size, "a size such as 24GiB");
            Add(KeyKind.TextList, "a list of text");
            Add(KeyKind.EntryList, "a list of mappings");
            Add(KeyKind.Mapping, "a mapping");
            return string.Join(" or ", parts) + (Range is null ? "" : $" {Range}");

            void Add(KeyKind kind, string words)
            {
                if ((Kind & kind) != 0)
                {
                    parts.Add(words);
                }
            }
        }
    }
}

/// <summary>The keys of one mapping, in the order of the documentation, found by name or alias.</summary>
internal sealed class KeyLevel
{
    private readonly Dictionary<string, KeySpec> byName = [];

    public KeyLevel(IReadOnlyList<KeySpec> keys)
    {
        Keys = keys;
        foreach (var key in keys)
        {
            byName.Add(key.Name, key);
            foreach (var alias in key.Aliases)
            {
                byName.Add(alias, key);
            }
        }
    }

    public IReadOnlyList<KeySpec> Keys { get; }

    public IEnumerable<string> Names => byName.Keys;

    public KeySpec? Find(string name) => byName.GetValueOrDefault(name);
}
