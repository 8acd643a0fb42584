namespace Nibble.Models;

/// <summary>Sizes of a new Qwen2-architecture model whose output head is its embedding table.</summary>
public sealed record ModelShape
{
    /// <summary>V, rows of the embedding table: at least the tokenizer's ids.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>C, model width.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>F, MLP width.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>L, layers.</summary>
    public required int Layers { get; init; }

    /// <summary>H, query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Hkv, key/value heads, a divisor of <see cref="Heads"/>.</summary>
    public required int KvHeads { get; init; }

    /// <summary>D, head width, even.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Standard deviation of matrices and of the embedding, transformers' <c>initializer_range</c>.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>Longest sequence the model is meant for; informative.</summary>
    public int MaximumPositions { get; init; } = 2048;

    /// <summary>Base θ of the rotary embedding.</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>ε of every norm.</summary>
    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>Id that ends an answer, or null.</summary>
    public int? EosId { get; init; }

    /// <summary>Id that pads, or null.</summary>
    public int? PadId { get; init; }
}
