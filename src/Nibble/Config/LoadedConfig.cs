namespace Nibble.Config;

/// <summary>What becomes of a key.</summary>
public enum KeyStatus
{
    /// <summary>It does what it says.</summary>
    Honoured,

    /// <summary>Not needed: the engine has it built in, or does the same by other means.</summary>
    Equivalent,

    /// <summary>It asks for something the engine deliberately does not do.</summary>
    Refused,

    /// <summary>Not supported yet; refused until it is.</summary>
    Later,

    /// <summary>Unknown, and let pass because the caller asked for leniency.</summary>
    Ignored,
}

/// <summary>What became of one key that the file or a flag gives.</summary>
/// <param name="Key">Dotted key under its own name, e.g. <c>datasets.0.path</c>.</param>
/// <param name="Value">
/// Value as written, on one line; empty for a key without a value, and for an unknown key, whose value may be a secret.
/// </param>
/// <param name="Source"><c>line 12</c> or <c>flag --lora_r</c>.</param>
/// <param name="Status">Honoured, equivalent, refused, later or ignored.</param>
/// <param name="Effective">What it means for the run, in words.</param>
public sealed record KeyReport(string Key, string Value, string Source, KeyStatus Status, string Effective);

/// <summary>A configuration read, checked and resolved.</summary>
public sealed record LoadedConfig
{
    /// <summary>The run.</summary>
    public required RunConfig Config { get; init; }

    /// <summary>Every key that was given, in the order of the file, then of the flags.</summary>
    public required IReadOnlyList<KeyReport> Keys { get; init; }

    /// <summary>What does not stop the run and still should be seen.</summary>
    public required IReadOnlyList<ConfigFinding> Warnings { get; init; }

    /// <summary>
    /// Every effective key as YAML, each with a comment that says where its value came from. Parsing it gives
    /// <see cref="Config"/> again.
    /// </summary>
    public required string ResolvedYaml { get; init; }
}
