using System.Globalization;
using Nibble.Tensors;

namespace Nibble.Models;

/// <summary>How a model's weights are held in memory.</summary>
/// <param name="Code">4-bit code of decoder linears, or null for dense ones.</param>
/// <param name="Nested">Whether the scales are nested.</param>
/// <param name="DenseType">Type of dense decoder linears: F32, BF16 (F64 in the reference).</param>
/// <param name="TableType">Type of embedding table and head: F32 or BF16.</param>
/// <param name="ActivationType">Type of norms and biases.</param>
public sealed record WeightFormat(
    FourBitCode? Code, bool Nested, DType DenseType, DType TableType, DType ActivationType);

/// <summary>Weights of one decoder layer.</summary>
public sealed class LayerWeights
{
    /// <summary>q, k, v stacked: [(H + 2 Hkv) D, C].</summary>
    public required FrozenLinear Qkv { get; init; }

    /// <summary>o: [C, H D].</summary>
    public required FrozenLinear Output { get; init; }

    /// <summary>gate and up stacked: [2F, C].</summary>
    public required FrozenLinear GateUp { get; init; }

    /// <summary>down: [C, F].</summary>
    public required FrozenLinear Down { get; init; }

    /// <summary>[1, C].</summary>
    public required TensorView InputNorm { get; init; }

    /// <summary>[1, C].</summary>
    public required TensorView PostAttentionNorm { get; init; }

    /// <summary>[1, D], or none.</summary>
    public required TensorView QueryNorm { get; init; }

    /// <summary>[1, D], or none.</summary>
    public required TensorView KeyNorm { get; init; }

    /// <summary>The four products, in forward order.</summary>
    public IReadOnlyList<FrozenLinear> Linears => [Qkv, Output, GateUp, Down];
}

/// <summary>Memory of a whole model; the loader fills it.</summary>
public sealed class ModelWeights
{
    /// <summary>Name of the embedding table in a model folder.</summary>
    public const string EmbeddingName = "model.embed_tokens.weight";

    /// <summary>Name of an output head of its own in a model folder.</summary>
    public const string HeadName = "lm_head.weight";

    private ModelWeights(ModelConfig config, WeightFormat format) => (Config, Format) = (config, format);

    /// <summary>Architecture.</summary>
    public ModelConfig Config { get; }

    /// <summary>How the weights are held.</summary>
    public WeightFormat Format { get; }

    /// <summary>[V, C].</summary>
    public TensorView Embedding { get; private init; }

    /// <summary>[V, C]; the embedding table itself when tied.</summary>
    public required FrozenLinear Head { get; init; }

    /// <summary>[1, C].</summary>
    public TensorView FinalNorm { get; private init; }

    /// <summary>Layers, first to last.</summary>
    public required LayerWeights[] Layers { get; init; }

    /// <summary>Elements of the largest 4-bit product, for the scratch it is dequantised
    /// into; 0 when nothing is.</summary>
    public int LargestQuantizedCount => Layers.SelectMany(l => l.Linears).Where(l => l.Quantized.Length > 0)
        .Select(l => checked(l.Out * l.In)).DefaultIfEmpty(0).Max();

    /// <summary>Lays a model out. With a counting arena this is how the planner learns its size.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="format">How weights are held.</param>
    /// <param name="arena">Where everything but the embedding table goes.</param>
    /// <param name="tableArena">Where the embedding table goes (pinned host memory, or the same arena).</param>
    public static ModelWeights Allocate(ModelConfig config, WeightFormat format, Arena arena, Arena tableArena)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(format);
        ArgumentNullException.ThrowIfNull(arena);
        ArgumentNullException.ThrowIfNull(tableArena);
        var (c, f) = (config.HiddenSize, config.IntermediateSize);
        TensorView Vector(int width) => arena.Allocate(format.ActivationType, 1, width);
        FrozenLinear Linear(bool bias, int cols, params ReadOnlySpan<int> rows)
        {
            var total = 0;
            foreach (var n in rows)
            {
                total += n;
            }

            var biasView = bias ? Vector(total) : TensorView.None;
            if (format.Code is not { } code)
            {
                return new FrozenLinear(arena.Allocate(format.DenseType, total, cols), biasView);
            }

            var parts = new QuantizedMatrix[rows.Length];
            for (var i = 0; i < parts.Length; i++)
            {
                parts[i] = Matrix(arena, code, format.Nested, rows[i], cols);
            }

            return new FrozenLinear(parts, biasView);
        }

        var layers = new LayerWeights[config.Layers];
        for (var l = 0; l < layers.Length; l++)
        {
            layers[l] = new LayerWeights
            {
                Qkv = Linear(config.QkvBias, c, config.QueryWidth, config.KvWidth, config.KvWidth),
                Output = Linear(false, config.QueryWidth, c),
                GateUp = Linear(false, c, f, f),
                Down = Linear(false, f, c),
                InputNorm = Vector(c),
                PostAttentionNorm = Vector(c),
                QueryNorm = config.QkNorm ? Vector(config.HeadDim) : TensorView.None,
                KeyNorm = config.QkNorm ? Vector(config.HeadDim) : TensorView.None,
            };
        }

        var table = tableArena.Allocate(format.TableType, config.VocabularySize, c);
        var head = config.TiedHead ? table : arena.Allocate(format.TableType, config.VocabularySize, c);
        return new ModelWeights(config, format)
        {
            Embedding = table,
            Head = new FrozenLinear(head, TensorView.None),
            FinalNorm = Vector(c),
            Layers = layers,
        };
    }

    /// <summary>Every tensor of a model without 4-bit weights, under the names of a model folder; a tied head once, as
    /// the embedding table. Stacked weights come as the row ranges they are made of.</summary>
    public IEnumerable<(string Name, TensorView View)> DenseTensors()
    {
        var (c, q, kv, f) = (Config.HiddenSize, Config.QueryWidth, Config.KvWidth, Config.IntermediateSize);
        yield return (EmbeddingName, Embedding);
        for (var l = 0; l < Layers.Length; l++)
        {
            var (layer, prefix) = (Layers[l], string.Create(CultureInfo.InvariantCulture, $"model.layers.{l}"));
            IEnumerable<(string, TensorView)> tensors =
            [
                .. Parts(
                    layer.Qkv, ($"{prefix}.self_attn.q_proj", q), ($"{prefix}.self_attn.k_proj", kv),
                    ($"{prefix}.self_attn.v_proj", kv)),
                .. Parts(layer.Output, ($"{prefix}.self_attn.o_proj", c)),
                .. Parts(layer.GateUp, ($"{prefix}.mlp.gate_proj", f), ($"{prefix}.mlp.up_proj", f)),
                .. Parts(layer.Down, ($"{prefix}.mlp.down_proj", c)),
                ($"{prefix}.input_layernorm.weight", layer.InputNorm),
                ($"{prefix}.post_attention_layernorm.weight", layer.PostAttentionNorm),
                ($"{prefix}.self_attn.q_norm.weight", layer.QueryNorm),
                ($"{prefix}.self_attn.k_norm.weight", layer.KeyNorm),
            ];
            foreach (var tensor in tensors.Where(t => !t.Item2.IsNone))
            {
                yield return tensor;
            }
        }

        yield return ("model.norm.weight", FinalNorm);
        if (!Config.TiedHead)
        {
            yield return (HeadName, Head.Dense);
        }
    }

    private static List<(string Name, TensorView View)> Parts(
        FrozenLinear linear, params ReadOnlySpan<(string Name, int Rows)> modules)
    {
        var parts = new List<(string, TensorView)>();
        var row = 0;
        foreach (var (name, rows) in modules)
        {
            parts.Add(($"{name}.weight", linear.Dense.RowRange(row, rows)));
            if (!linear.Bias.IsNone)
            {
                parts.Add(($"{name}.bias", linear.Bias.ColRange(row, rows)));
            }

            row += rows;
        }

        return parts;
    }

    private static QuantizedMatrix Matrix(Arena arena, FourBitCode code, bool nested, int rows, int cols)
    {
        var count = (long)rows * cols;
        var blocks = QuantizedMatrix.BlockCount(count);
        var codes = arena.Allocate(DType.U8, 1, checked((int)((count + 1) / 2)));
        var absMax = arena.Allocate(nested ? DType.U8 : DType.F32, 1, blocks);
        if (!nested)
        {
            return new QuantizedMatrix(code, rows, cols, codes, absMax, TensorView.None, TensorView.None, 0);
        }

        var groups = (blocks + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize;
        return new QuantizedMatrix(
            code, rows, cols, codes, absMax, arena.Allocate(DType.F32, 1, groups),
            arena.Allocate(DType.F32, 1, 256), 0);
    }
}
