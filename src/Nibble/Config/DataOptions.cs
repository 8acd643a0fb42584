namespace Nibble.Config;

/// <summary>One entry of <c>datasets</c> or <c>test_datasets</c>.</summary>
public sealed record DatasetOptions
{
    /// <summary>File or folder, absolute or relative to the working directory, or a name on the Hub.</summary>
    public required string Path { get; init; }

    /// <summary>Key <c>name</c>: folder of a Hub data set's files that are meant, or null.</summary>
    public string? Subset { get; init; }

    /// <summary>Branch, tag or commit of a Hub data set, or null for the default branch.</summary>
    public string? Revision { get; init; }

    /// <summary>Files of the Hub data set that <see cref="Path"/> names, in its cache; null where it names files
    /// of the user's own, or as long as nobody has asked the Hub.</summary>
    public IReadOnlyList<string>? HubFiles { get; init; }

    /// <summary>Commit on the Hub that <see cref="HubFiles"/> are of, or null.</summary>
    public string? Commit { get; init; }

    /// <summary><c>completion</c>, <c>alpaca</c>, <c>chat_template</c>, <c>input_output</c>, or
    /// null for pre-tokenised rows.</summary>
    public required string? Type { get; init; }

    /// <summary>File format: <c>json</c> (JSON lines or an array), <c>csv</c>, <c>text</c>, <c>parquet</c>, or
    /// null to go by extension.</summary>
    public required string? FileFormat { get; init; }

    /// <summary>Files inside a folder <see cref="Path"/>, or empty for all.</summary>
    public required IReadOnlyList<string> DataFiles { get; init; }

    /// <summary>Split name; informative for local files.</summary>
    public required string? Split { get; init; }

    /// <summary>Text column of <c>completion</c>.</summary>
    public required string Field { get; init; }

    /// <summary>Message list column of <c>chat_template</c>.</summary>
    public required string FieldMessages { get; init; }

    /// <summary>Property names inside a message: <c>role</c> and <c>content</c> to the row's own names.</summary>
    public required IReadOnlyDictionary<string, string> MessageProperties { get; init; }

    /// <summary>Canonical role to the row's role names, on top of the built-in aliases.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<string>> Roles { get; init; }

    /// <summary>Roles whose turns train.</summary>
    public required IReadOnlyList<string> RolesToTrain { get; init; }

    /// <summary>Which end-of-turn tokens train: <c>all</c>, <c>turn</c>, <c>last</c>, <c>none</c>.</summary>
    public required string TrainOnEos { get; init; }

    /// <summary>Per-message boolean that overrides training of a turn, or null.</summary>
    public required string? MessageFieldTraining { get; init; }

    /// <summary>Template name or null for the run's.</summary>
    public required string? ChatTemplate { get; init; }

    /// <summary>Line of the entry in the YAML, for messages; 0 when it came from elsewhere.</summary>
    public required int ConfigLine { get; init; }
}

/// <summary>Data sets and how their rows become tokens.</summary>
public sealed record DataOptions
{
    /// <summary>Training sets, in order.</summary>
    public required IReadOnlyList<DatasetOptions> Train { get; init; }

    /// <summary>Evaluation sets; empty when <see cref="ValidationSize"/> splits or
    /// there is no evaluation data.</summary>
    public required IReadOnlyList<DatasetOptions> Test { get; init; }

    /// <summary>0 for none; at most 1 a fraction; above 1 a row count; taken from the tail after shuffling.</summary>
    public required double ValidationSize { get; init; }

    /// <summary>Run-wide template: <c>tokenizer_default</c>, <c>chatml</c>, ….</summary>
    public required string? ChatTemplate { get; init; }

    /// <summary>Jinja text that wins over the name, or null.</summary>
    public required string? ChatTemplateJinja { get; init; }

    /// <summary>End-of-turn tokens; empty means the tokenizer's EOS.</summary>
    public required IReadOnlyList<string> EotTokens { get; init; }

    /// <summary>System text inserted where a conversation has none, or null for the template's own rule.</summary>
    public required string? DefaultSystemMessage { get; init; }

    /// <summary>Train prompt tokens too.</summary>
    public required bool TrainOnInputs { get; init; }

    /// <summary>Shuffle the merged rows by seed.</summary>
    public required bool Shuffle { get; init; }

    /// <summary>Drop rows whose token ids and labels repeat an earlier row exactly.</summary>
    public required bool ExactDeduplication { get; init; }

    /// <summary>Overridden special tokens by role name (<c>eos_token</c>, <c>pad_token</c>, …).</summary>
    public required IReadOnlyDictionary<string, string> SpecialTokens { get; init; }
}
