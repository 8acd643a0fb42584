using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>One tensor of optimizer state, as raw bytes.</summary>
/// <param name="Name">Unique name.</param>
/// <param name="DType">Element type, F32 or U8 in practice.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Cols">Columns.</param>
/// <param name="Data">Rows × Cols little-endian elements, row-major.</param>
public sealed record StateTensor(string Name, DType DType, int Rows, int Cols, ReadOnlyMemory<byte> Data);

/// <summary>Everything a checkpoint holds, in host memory.</summary>
public sealed record CheckpointContent
{
    /// <summary>The adapter.</summary>
    public required LoraAdapter Adapter { get; init; }

    /// <summary>The trainer's state.</summary>
    public required TrainerState State { get; init; }

    /// <summary>State of the optimizer, or null for a checkpoint that cannot resume (<c>save_only_model</c>).</summary>
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
