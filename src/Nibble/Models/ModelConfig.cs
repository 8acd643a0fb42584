using System.Text.Json;
using Nibble.Models.Families;
using Nibble.Tensors;

namespace Nibble.Models;

/// <summary>Frequencies of the rotary embedding.</summary>
/// <param name="Theta">Base θ.</param>
/// <param name="Llama3">Llama 3's long-context scaling, or null.</param>
public sealed record RopeOptions(double Theta, Llama3RopeScaling? Llama3);

/// <summary>Llama 3 scaling of low frequencies (transformers modeling_rope_utils, <c>llama3</c>).</summary>
/// <param name="Factor">Divisor of low frequencies.</param>
/// <param name="LowFrequencyFactor">Wavelengths above original / this are divided.</param>
/// <param name="HighFrequencyFactor">Wavelengths below original / this are kept.</param>
/// <param name="OriginalPositions">Context length of pretraining.</param>
public sealed record Llama3RopeScaling(
    double Factor, double LowFrequencyFactor, double HighFrequencyFactor, int OriginalPositions);

/// <summary>How a checkpoint's linears were quantised when it was saved.</summary>
/// <param name="Code">4-bit code.</param>
/// <param name="DoubleQuantization">Whether absmax is nested.</param>
public sealed record SavedQuantization(FourBitCode Code, bool DoubleQuantization);

/// <summary>Everything the decoder graph needs to know about an architecture, read from <c>config.json</c>.</summary>
public sealed record ModelConfig
{
    /// <summary><c>model_type</c>, a name in <see cref="FamilyTable.All"/>.</summary>
    public required string Family { get; init; }

    /// <summary>C, model width.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>F, MLP width.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>L, layers.</summary>
    public required int Layers { get; init; }

    /// <summary>H, query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Hkv, key/value heads.</summary>
    public required int KvHeads { get; init; }

    /// <summary>D, head width.</summary>
    public required int HeadDim { get; init; }

    /// <summary>V, rows of the embedding table.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>ε of every norm.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>Whether the output head is the embedding table.</summary>
    public required bool TiedHead { get; init; }

    /// <summary>Whether q, k, v have biases.</summary>
    public required bool QkvBias { get; init; }

    /// <summary>Whether q and k are normed per head before the rotation (Qwen3).</summary>
    public required bool QkNorm { get; init; }

    /// <summary>Rotary frequencies.</summary>
    public required RopeOptions Rope { get; init; }

    /// <summary>Per layer: 0 for full attention, or the sliding window.</summary>
    public required IReadOnlyList<int> Windows { get; init; }

    /// <summary>How the checkpoint's linears are stored, or null when dense.</summary>
    public required SavedQuantization? Quantization { get; init; }

    /// <summary>Type that the weights were saved in, as the config says; null when it says none.</summary>
    public DType? SavedType { get; init; }

    /// <summary>EOS ids named by the config; may be empty.</summary>
    public required IReadOnlyList<int> EosIds { get; init; }

    /// <summary>H D, width of the queries.</summary>
    public int QueryWidth => Heads * HeadDim;

    /// <summary>Hkv D, width of the keys and of the values.</summary>
    public int KvWidth => KvHeads * HeadDim;

    /// <summary>Width of the fused q, k, v projection.</summary>
    public int QkvWidth => QueryWidth + (2 * KvWidth);

    /// <summary>Every linear of a decoder layer in the order it is used: path inside
    /// the layer, outputs, inputs.</summary>
    public IReadOnlyList<(string Path, int Out, int In)> LayerLinears =>
    [
        ("self_attn.q_proj", QueryWidth, HiddenSize), ("self_attn.k_proj", KvWidth, HiddenSize),
        ("self_attn.v_proj", KvWidth, HiddenSize),
        ("self_attn.o_proj", HiddenSize, QueryWidth), ("mlp.gate_proj", IntermediateSize, HiddenSize),
        ("mlp.up_proj", IntermediateSize, HiddenSize), ("mlp.down_proj", HiddenSize, IntermediateSize),
    ];

    /// <summary>Parameters of the base model (tied tables once).</summary>
    public long ParameterCount
    {
        get
        {
            long table = (long)VocabularySize * HiddenSize;
            long layer = ((long)HiddenSize * QkvWidth) + ((long)QueryWidth * HiddenSize)
                + (3L * HiddenSize * IntermediateSize) + (2L * HiddenSize) + (QkvBias ? QkvWidth : 0)
                + (QkNorm ? 2 * HeadDim : 0);
            return (table * (TiedHead ? 1 : 2)) + (Layers * layer) + HiddenSize;
        }
    }

    /// <summary>Reads <c>config.json</c> of a model folder.</summary>
    /// <param name="folder">Model folder.</param>
    /// <exception cref="ModelFormatException">The file is missing, malformed, or of a family
    /// that is not supported.</exception>
    public static ModelConfig Load(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path))
        {
            throw new ModelFormatException(
                $"{path}: expected a model's config.json, found none. "
                + "base_model must name a folder in Hugging Face layout.");
        }

        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return FamilyTable.Parse(new ConfigReader(path, document.RootElement));
        }
        catch (JsonException e)
        {
            throw new ModelFormatException($"{path}: not valid JSON: {e.Message}", e);
        }
    }
}
