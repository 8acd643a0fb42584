namespace Nibble.Config;

/// <summary>
/// A configuration that cannot run. Carries every finding at once, so that one look repairs the file.
/// </summary>
public sealed class ConfigException : Exception
{
    /// <summary>Makes the exception from what was found.</summary>
    /// <param name="findings">At least one finding.</param>
    /// <param name="keys">What is known of every key given, or null when the file could not be read that far.</param>
    public ConfigException(IReadOnlyList<ConfigFinding> findings, IReadOnlyList<KeyReport>? keys = null)
        : base(string.Join('\n', findings))
    {
        Findings = findings;
        Keys = keys ?? [];
    }

    /// <summary>Everything that is wrong, in the order of the file, then of the flags.</summary>
    public IReadOnlyList<ConfigFinding> Findings { get; }

    /// <summary>What became of each key given; empty when the file could not be read that far.</summary>
    public IReadOnlyList<KeyReport> Keys { get; }
}
