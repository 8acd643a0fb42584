using Nibble.Config;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Full;
using Nibble.Models.Lora;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Hosting;

/// <summary>What a session holds on its device.</summary>
public sealed record SessionLayout
{
    /// <summary>Architecture.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>How weights are held.</summary>
    public required WeightFormat Format { get; init; }

    /// <summary>Adapters; null for a model alone, whose every weight is trained when there is an optimizer.</summary>
    public required LoraOptions? Lora { get; init; }

    /// <summary>Optimizer state: 8-bit, F32, or null for none.</summary>
    public required OptimizerKind? Optimizer { get; init; }

    /// <summary>Whether every weight is trained.</summary>
    public bool TrainsWeights => Lora is null && Optimizer is not null;

    /// <summary>Positions of the rotary table.</summary>
    public required int Positions { get; init; }

    /// <summary>Bytes for passes.</summary>
    public required long PassBytes { get; init; }

    /// <summary>Bytes of pinned host memory for passes.</summary>
    public long PassHostBytes { get; init; }

    /// <summary>Layers whose quantised weights also stay dequantised.</summary>
    public int ResidentLayers { get; init; }

    /// <summary>Whether the embedding table lives in pinned host memory.</summary>
    public bool TableOnHost { get; init; }
}

/// <summary>A model on a device: weights, adapters, optimizer state and one arena for everything else.</summary>
public sealed class ModelSession : IDisposable
{
    private readonly DeviceMemory _memory;
    private readonly DeviceMemory? _hostTable;
    private readonly DeviceMemory? _passHost;
    private readonly Arena? _hostArena;

    /// <summary>Takes the memory; <see cref="Load"/> fills it.</summary>
    /// <param name="backend">Device; not owned.</param>
    /// <param name="layout">What to hold.</param>
    public ModelSession(IBackend backend, SessionLayout layout)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(layout);
        (Backend, Layout) = (backend, layout);
        var counting = new Pieces(backend, layout, Arena.Counting(), null);
        _hostTable = layout.TableOnHost ? backend.Allocate(TableBytes(layout), MemoryKind.PinnedHost) : null;
        _passHost = layout.PassHostBytes > 0 ? backend.Allocate(layout.PassHostBytes, MemoryKind.PinnedHost) : null;
        _hostArena = _passHost is null ? null : new Arena(_passHost);
        _memory = backend.Allocate(counting.Arena.Peak + layout.PassBytes);
        var pieces = new Pieces(backend, layout, new Arena(_memory), _hostTable is null ? null : new Arena(_hostTable));
        (Arena, Weights, Lora, Full, Optimizer) =
            (pieces.Arena, pieces.Weights, pieces.Lora, pieces.Full, pieces.Optimizer);
        if (!pieces.Scratch.IsNone)
        {
            backend.DequantizationScratch = pieces.Scratch;
        }

        (_resident, _rope) = (pieces.Resident, pieces.Rope);
        Decoder = OnBackend(backend);
        RopeTable.Fill(backend, layout.Model.Rope, pieces.Rope);
    }

    private readonly TensorView[] _resident;
    private readonly TensorView _rope;

    /// <summary>Device.</summary>
    public IBackend Backend { get; }

    /// <summary>What is held.</summary>
    public SessionLayout Layout { get; }

    /// <summary>Memory of passes.</summary>
    public Arena Arena { get; }

    /// <summary>Base weights.</summary>
    public ModelWeights Weights { get; }

    /// <summary>Adapters or null.</summary>
    public LoraAdapters? Lora { get; }

    /// <summary>Masters and gradients of every weight, or null when the weights are frozen.</summary>
    public FullParameters? Full { get; }

    /// <summary>Optimizer state or null.</summary>
    public OptimizerState? Optimizer { get; }

    /// <summary>The graph.</summary>
    public DecoderModel Decoder { get; }

    /// <summary>Loads base weights, makes resident copies, clears adapters and optimizer state.</summary>
    /// <param name="folder">Model folder.</param>
    /// <param name="progress">Told the bytes read, or null.</param>
    public void Load(string folder, IProgress<long>? progress = null)
    {
        Full?.Clear(Backend);
        LoadWeights(folder, progress);
        MakeResident();
        Lora?.Clear(Backend);
        foreach (var (_, view) in Optimizer?.Tensors ?? [])
        {
            Backend.Zero(view);
        }
    }

    /// <summary>Loads base weights, or replaces the weights that are trained; everything else stays.</summary>
    /// <param name="folder">Model folder.</param>
    /// <param name="progress">Told the bytes read, or null.</param>
    internal void LoadWeights(string folder, IProgress<long>? progress = null)
    {
        using var files = SafetensorsIndex.Open(folder);
        new WeightLoader(Backend, files, Arena) { Progress = progress }.Load(Full?.Masters ?? Weights);
        if (Full is not null)
        {
            Backend.RefreshCompute(Full.Parameters);
        }
    }

    /// <summary>The same graph over the same memory, its ops going through another
    /// backend that wraps this one's.</summary>
    /// <param name="wrapper">Wrapper of <see cref="Backend"/>.</param>
    internal DecoderModel OnBackend(IBackend wrapper) =>
        new(wrapper, Weights, Lora, _rope, Full) { HostArena = _hostArena };

    /// <summary>Dequantises the layers that stay resident.</summary>
    public void MakeResident() => ResidentWeights.Fill(Backend, Weights, _resident);

    /// <summary>How a model's weights are held on a device, from the config and the checkpoint's own types.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="quantization">What the run asks for.</param>
    /// <param name="activation">The device's activation type.</param>
    /// <param name="folder">Model folder, for messages.</param>
    /// <param name="files">Its tensors; null goes by the type that the config says they have.</param>
    /// <exception cref="ModelFormatException">The checkpoint is quantised otherwise than asked for.</exception>
    public static WeightFormat Format(
        ModelConfig config, QuantizationOptions quantization, DType activation, string folder, SafetensorsIndex? files)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(quantization);
        ArgumentNullException.ThrowIfNull(folder);
        FourBitCode? asked = quantization.Storage switch
        {
            WeightStorage.Nf4 => FourBitCode.Nf4,
            WeightStorage.Fp4 => FourBitCode.Fp4,
            _ => null,
        };
        if (config.Quantization is { } saved
            && (asked != saved.Code || quantization.DoubleQuantization != saved.DoubleQuantization))
        {
            throw new ModelFormatException(
                $"{folder}: "
                + $"the weights were saved as {saved.Code}{(saved.DoubleQuantization ? " with" : " without")} double "
                + "quantization; the config asks for "
                + $"{quantization.Storage}{(quantization.DoubleQuantization ? " with" : " without")} it. "
                + "Set load_in_4bit and bnb_config_kwargs to match, or use the unquantised model.");
        }

        DType? Saved(string name) => files is null ? config.SavedType
            : files.Contains(name) ? files.Get(name).Entry.DType : null;
        DType Type(string name) =>
            activation == DType.BF16 || Saved(name) == DType.BF16 ? DType.BF16 : DType.F32;
        return new WeightFormat(
            asked, asked is not null && quantization.DoubleQuantization, Type("model.layers.0.self_attn.q_proj.weight"),
            Type("model.embed_tokens.weight"), activation);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Backend.DequantizationScratch = TensorView.None;
        _memory.Dispose();
        _hostTable?.Dispose();
        _passHost?.Dispose();
    }

    private static long TableBytes(SessionLayout layout) =>
        ((long)layout.Model.VocabularySize * layout.Model.HiddenSize * layout.Format.TableType.Size())
        + Arena.Alignment;

    // Everything a session keeps for its lifetime, laid out in one order, counted and then taken.
    private sealed class Pieces
    {
        public Pieces(IBackend backend, SessionLayout layout, Arena arena, Arena? hostTable)
        {
            Arena = arena;
            var table = hostTable ?? (layout.TableOnHost ? Arena.Counting() : arena);
            var activation = backend.ActivationType;
            Full = layout.TrainsWeights ? FullParameters.Allocate(layout.Model, activation, arena) : null;
            Weights = Full?.Weights ?? ModelWeights.Allocate(layout.Model, layout.Format, arena, table);
            if (backend.NeedsDequantizationScratch && Weights.LargestQuantizedCount > 0)
            {
                Scratch = arena.Allocate(activation, 1, Weights.LargestQuantizedCount);
            }

            Rope = arena.Allocate(
                activation == DType.F64 ? DType.F64 : DType.F32, layout.Positions, layout.Model.HeadDim);
            if (layout.Lora is { } options)
            {
                Lora = LoraAdapters.Allocate(layout.Model, options, activation, arena, layout.ResidentLayers);
            }

            if (layout.Optimizer is { } kind && (Lora?.Parameters ?? Full?.Parameters) is { } trained)
            {
                Optimizer = OptimizerState.Allocate(trained.Slots, kind == OptimizerKind.AdamW8Bit, arena);
            }

            Resident = ResidentWeights.Allocate(Weights, Lora, layout.ResidentLayers, activation, arena);
        }

        public Arena Arena { get; }

        public ModelWeights Weights { get; }

        public TensorView Scratch { get; }

        public TensorView Rope { get; }

        public LoraAdapters? Lora { get; }

        public FullParameters? Full { get; }

        public OptimizerState? Optimizer { get; }

        public TensorView[] Resident { get; }
    }
}
