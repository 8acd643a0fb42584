namespace Nibble.Checkpoints;

/// <summary>What a run trains, as it is saved: a <see cref="LoraAdapter"/> or a <see cref="FullModel"/>.</summary>
public abstract record TrainedWeights;

/// <summary>Everything a checkpoint holds.</summary>
public sealed record CheckpointContent
{
    /// <summary>What was trained.</summary>
    public required TrainedWeights Weights { get; init; }

    /// <summary>The adapter.</summary>
    /// <exception cref="CheckpointException">The run trained something else.</exception>
    public LoraAdapter RequireAdapter() => Weights as LoraAdapter
        ?? throw new CheckpointException($"checkpoint-{Run.Step}", "an adapter", "a whole model");

    /// <summary>The trainer's state.</summary>
    public required TrainerState State { get; init; }

    /// <summary>State of the optimizer and whatever else an exact continuation needs, or null for a checkpoint that
    /// cannot resume (<c>save_only_model</c>).</summary>
    public required IReadOnlyList<StateTensor>? Optimizer { get; init; }

    /// <summary>Position in the run, and where it comes from.</summary>
    public required RunState Run { get; init; }

    /// <summary>Paths of the tokenizer's files, which are copied; see
    /// <see cref="Checkpoints.TokenizerFiles"/>.</summary>
    public required IReadOnlyList<string> TokenizerFiles { get; init; }

    /// <summary>Facts for the model card.</summary>
    public required ModelCard Card { get; init; }
}

/// <summary>The files that make a tokenizer.</summary>
public static class TokenizerFiles
{
    private static readonly string[] _names =
    [
        "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "chat_template.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model",
    ];

    /// <summary>Paths of the tokenizer files that a folder has.</summary>
    /// <param name="folder">Model or checkpoint folder.</param>
    public static IReadOnlyList<string> Find(string folder) =>
        [.. _names.Select(n => Path.Combine(folder, n)).Where(File.Exists)];
}
