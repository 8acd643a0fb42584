using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Tensors;

namespace Nibble.Models.Lora;

/// <summary>
/// Every adapter of a model: masters, gradients and compute copies. Names are PEFT's
/// (<c>base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight</c>).
/// </summary>
public sealed class LoraAdapters
{
    /// <summary>Module names that can be adapted.</summary>
    public static IReadOnlyList<string> ModuleNames => KnownNames.Projections;

    private const int SlotAlignment = 64;

    private LoraAdapters(ParameterSet parameters, LoraLayer[] layers, LoraOptions options) =>
        (Parameters, Layers, Options) = (parameters, layers, options);

    /// <summary>Rank, scaling, dropout and targets.</summary>
    public LoraOptions Options { get; }

    /// <summary>All trained tensors.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Adapters per layer.</summary>
    public LoraLayer[] Layers { get; }

    /// <summary>Trained elements.</summary>
    public long TrainableCount => Parameters.Slots.Sum(s => (long)s.Count);

    /// <summary>Index of the first layer with an adapter: backward stops there.</summary>
    public int LowestLayer => Array.FindIndex(Layers, l => l.Groups.Any());

    /// <summary>PEFT's name of a factor.</summary>
    /// <param name="module">Path of the adapted module.</param>
    /// <param name="factor"><c>A</c> or <c>B</c>.</param>
    public static string FactorName(string module, char factor) => $"base_model.model.{module}.lora_{factor}.weight";

    /// <summary>Lays out adapters; call <see cref="Clear"/> before anything else.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="options">Rank, scaling and targets.</param>
    /// <param name="activationType">Type of the compute copies.</param>
    /// <param name="arena">Where everything goes.</param>
    /// <param name="joinedLayers">Layers, from the first, whose adapted weights have a dense copy: it, A and B are one
    /// piece of memory (<see cref="LoraGroup.Dense"/>).</param>
    /// <exception cref="ModelFormatException">A target is not a module of the decoder.</exception>
    public static LoraAdapters Allocate(
        ModelConfig config, LoraOptions options, DType activationType, Arena arena, int joinedLayers = 0)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(arena);
        foreach (var target in options.TargetModules)
        {
            if (!ModuleNames.Contains(target))
            {
                throw new ModelFormatException(
                    $"lora_target_modules: expected names among {string.Join(", ", ModuleNames)}, found {target}.");
            }
        }

        var slots = new List<ParameterSlot>();
        var (c, f) = (config.HiddenSize, config.IntermediateSize);
        var offset = 0;
        ParameterSlot Slot(string name, int rows, int cols, TensorView compute, float scale, float ratio)
        {
            var slot = new ParameterSlot(name, offset, rows, cols, compute, scale, ratio, Decays: true);
            slots.Add(slot);
            offset = checked((offset + slot.Count + SlotAlignment - 1) / SlotAlignment * SlotAlignment);
            return slot;
        }

        var scaling = (float)options.Scaling;
        var ratioB = (float)(options.LoraPlusRatio ?? 1);
        LoraGroup? Group(bool joined, string path, int cols, params (string Name, int Rows)[] modules)
        {
            var targeted = modules.Where(m => options.TargetModules.Contains(m.Name)).ToArray();
            if (targeted.Length == 0)
            {
                return null;
            }

            var (outputs, rankSum) = (modules.Sum(m => m.Rows), targeted.Length * options.Rank);
            TensorView a, b, dense;
            if (joined)
            {
                var whole = arena.Allocate(activationType, outputs + rankSum, LoraGroup.Stride(cols, rankSum));
                dense = whole.RowRange(0, outputs).ColRange(0, cols);
                a = whole.RowRange(outputs, rankSum).ColRange(0, cols);
                b = whole.RowRange(0, outputs).ColRange(cols, rankSum);
            }
            else
            {
                a = arena.Allocate(activationType, rankSum, cols);
                b = arena.Allocate(activationType, outputs, rankSum);
                dense = TensorView.None;
            }

            var slotsA = targeted.Select((m, i) => Slot(
                FactorName($"{path}.{m.Name}", 'A'), options.Rank, cols,
                a.RowRange(i * options.Rank, options.Rank), 1, 1)).ToArray();
            var result = new LoraModule[targeted.Length];
            var row = 0;
            foreach (var (name, rows) in modules)
            {
                var i = Array.FindIndex(targeted, m => m.Name == name);
                if (i >= 0)
                {
                    var compute = b.RowRange(row, rows).ColRange(i * options.Rank, options.Rank);
                    var slotB = Slot(FactorName($"{path}.{name}", 'B'), rows, options.Rank, compute, scaling, ratioB);
                    result[i] = new LoraModule($"{path}.{name}", row, rows, i * options.Rank, slotsA[i], slotB);
                }

                row += rows;
            }

            return new LoraGroup(result, a, b, scaling, dense);
        }

        var layers = new LoraLayer[config.Layers];
        for (var l = 0; l < layers.Length; l++)
        {
            var attention = $"model.layers.{l}.self_attn";
            var mlp = $"model.layers.{l}.mlp";
            var joined = l < joinedLayers;
            layers[l] = new LoraLayer(
                Group(
                    joined, attention, c, ("q_proj", config.QueryWidth), ("k_proj", config.KvWidth),
                    ("v_proj", config.KvWidth)),
                Group(joined, attention, config.QueryWidth, ("o_proj", c)),
                Group(joined, mlp, c, ("gate_proj", f), ("up_proj", f)),
                Group(joined, mlp, f, ("down_proj", c)));
        }

        var master = arena.Allocate(DType.F32, 1, offset);
        var gradient = arena.Allocate(DType.F32, 1, offset);
        return new LoraAdapters(new ParameterSet(slots, master, gradient), layers, options);
    }

    /// <summary>Zeroes masters, gradients and compute copies: outside its blocks a
    /// block-diagonal B stays zero for good.</summary>
    /// <param name="backend">Owner of the memory.</param>
    public void Clear(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        backend.Zero(Parameters.Master);
        backend.Zero(Parameters.Gradient);
        foreach (var group in Layers.SelectMany(l => l.Groups))
        {
            backend.Zero(group.A);
            backend.Zero(group.B);
        }
    }

    /// <summary>PEFT's initialisation: A uniform in ±1/sqrt(K) (Kaiming with a = √5), B zero.</summary>
    /// <param name="backend">Owner of the memory, cleared.</param>
    /// <param name="seed">The run's seed; slot i draws from Philox stream 2^63 + i.</param>
    public void Initialize(IBackend backend, int seed)
    {
        ArgumentNullException.ThrowIfNull(backend);
        for (var i = 0; i < Parameters.Slots.Length; i++)
        {
            var slot = Parameters.Slots[i];
            if (!slot.Name.EndsWith("lora_A.weight", StringComparison.Ordinal))
            {
                continue;
            }

            var bound = 1f / MathF.Sqrt(slot.Cols);
            var values = new float[slot.Count];
            for (var e = 0; e < values.Length; e += 4)
            {
                var words = Philox.Words((ulong)(uint)seed, (ulong)(e / 4), (1UL << 63) + (ulong)i);
                Span<uint> four = [words.X, words.Y, words.Z, words.W];
                for (var k = 0; k < 4 && e + k < values.Length; k++)
                {
                    values[e + k] = ((2 * Philox.Uniform(four[k])) - 1) * bound;
                }
            }

            UploadMaster(backend, slot, values);
        }

        backend.RefreshCompute(Parameters);
    }

    /// <summary>Replaces one master; call <see cref="IBackend.RefreshCompute"/> after the last.</summary>
    /// <param name="backend">Owner of the memory.</param>
    /// <param name="slot">Which.</param>
    /// <param name="values">Row-major.</param>
    public void UploadMaster(IBackend backend, ParameterSlot slot, ReadOnlySpan<float> values)
    {
        ArgumentNullException.ThrowIfNull(backend);
        backend.Upload(MemoryMarshal.AsBytes(values), ParameterSet.Piece(Parameters.Master, slot));
    }

    /// <summary>Reads one master.</summary>
    /// <param name="backend">Owner of the memory.</param>
    /// <param name="slot">Which.</param>
    /// <returns>Row-major values.</returns>
    public float[] DownloadMaster(IBackend backend, ParameterSlot slot)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(slot);
        var values = new float[slot.Count];
        backend.Download(ParameterSet.Piece(Parameters.Master, slot), MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
