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

    /// <summary>Dotted key to where its value came from; keys that are absent have their default.</summary>
    public required IReadOnlyDictionary<string, string> Sources { get; init; }

    /// <summary>The same with files of the Hub in place of names; <see cref="ResolvedYaml"/> then names their
    /// commits.</summary>
    /// <param name="config">The run, its models and data sets found.</param>
    public LoadedConfig WithFiles(RunConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var sources = new Dictionary<string, string>(Sources);
        Mark("revision_of_model", config.BaseModel.Commit, config.BaseModel.Revision);
        MarkAll("datasets", config.Data.Train);
        MarkAll("test_datasets", config.Data.Test);
        return this with { Config = config, Sources = sources, ResolvedYaml = ConfigPrinter.Print(config, sources) };

        void MarkAll(string list, IReadOnlyList<DatasetOptions> entries)
        {
            for (var i = 0; i < entries.Count; i++)
            {
                Mark($"{list}.{i}.revision", entries[i].Commit, entries[i].Revision);
            }
        }

        void Mark(string key, string? commit, string? revision)
        {
            if (commit is not null && commit != revision)
            {
                sources[key] = $"the commit of {revision ?? "the default branch"} on the Hub";
            }
        }
    }
}
