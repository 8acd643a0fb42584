using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Data;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Full;
using Nibble.Models.Lora;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>A tiny model folder loaded on a backend, with or without adapters, or with its weights trained.</summary>
internal sealed class TinyModel : IDisposable
{
    private readonly DeviceMemory _memory;
    private readonly DeviceMemory _host;

    public TinyModel(
        IBackend backend, string folder, FourBitCode? code = null, bool nested = false,
        LoraOptions? lora = null, bool full = false, bool resident = false)
        : this(backend, ModelConfig.Load(folder), folder, code, nested, lora, full, resident)
    {
    }

    /// <summary>A model whose weights start at random, for a config that has no folder: all trained without adapters,
    /// frozen under them.</summary>
    public TinyModel(IBackend backend, ModelConfig config, LoraOptions? lora = null)
        : this(backend, config, null, null, false, lora, lora is null, false)
    {
    }

    private TinyModel(
        IBackend backend, ModelConfig config, string? folder, FourBitCode? code, bool nested,
        LoraOptions? lora, bool full, bool resident)
    {
        Backend = backend;
        Config = config;
        var activation = backend.ActivationType;
        var table = activation == DType.BF16 ? DType.BF16 : DType.F32;
        var format = new WeightFormat(
            Config.Quantization?.Code ?? code, Config.Quantization?.DoubleQuantization ?? nested,
            activation, table, activation);
        _memory = backend.Allocate(256 << 20);
        _host = backend.Allocate(16 << 20, MemoryKind.PinnedHost);
        HostArena = new Arena(_host);
        Arena = new Arena(_memory);
        Full = full ? FullParameters.Allocate(Config, activation, Arena) : null;
        Full?.Clear(backend);
        Weights = Full?.Weights ?? ModelWeights.Allocate(Config, format, Arena, Arena);
        if (folder is null)
        {
            FillAtRandom();
        }
        else
        {
            using var files = SafetensorsIndex.Open(folder);
            new WeightLoader(backend, files, Arena).Load(Full?.Masters ?? Weights);
        }

        if (Full is not null)
        {
            backend.RefreshCompute(Full.Parameters);
        }

        if ((backend.NeedsDequantizationScratch || resident) && Weights.LargestQuantizedCount > 0)
        {
            backend.DequantizationScratch = Arena.Allocate(activation, 1, Weights.LargestQuantizedCount);
        }

        var rope = Arena.Allocate(activation == DType.F64 ? DType.F64 : DType.F32, 512, Config.HeadDim);
        RopeTable.Fill(backend, Config.Rope, rope);
        var residentLayers = resident ? Config.Layers : 0;
        Lora = lora is null ? null : LoraAdapters.Allocate(Config, lora, activation, Arena, residentLayers);
        Lora?.Clear(backend);
        ResidentWeights.Fill(
            backend, Weights, ResidentWeights.Allocate(Weights, Lora, residentLayers, activation, Arena));
        Decoder = new DecoderModel(backend, Weights, Lora, rope, Full) { HostArena = HostArena };
        Loss = Arena.Allocate(DType.F64, 1, 1);
        Norm = Arena.Allocate(DType.F32, 1, 1);
    }

    public IBackend Backend { get; }

    public ModelConfig Config { get; }

    public ModelWeights Weights { get; }

    public LoraAdapters? Lora { get; }

    public FullParameters? Full { get; }

    public ParameterSet Trained => Decoder.Trained!;

    public DecoderModel Decoder { get; }

    public Arena Arena { get; }

    public Arena HostArena { get; }

    public TensorView Loss { get; }

    public TensorView Norm { get; }

    public void LoadAdapter(string folder)
    {
        using var file = SafetensorsFile.Open(System.IO.Path.Combine(folder, "adapter_model.safetensors"));
        foreach (var slot in Lora!.Parameters.Slots)
        {
            Lora.UploadMaster(Backend, slot, file.ReadSingle(file.Get(slot.Name)));
        }

        Backend.RefreshCompute(Lora.Parameters);
    }

    /// <summary>Gradients and mean loss of rows, cut into passes; adds to nothing: zeroes first.</summary>
    public double LossAndGradient(
        IReadOnlyList<Batch> passes, int recomputedLayers = 0, int logitsChunk = 32, int step = 0,
        bool offloadsInputs = false)
    {
        var tokens = passes.Sum(p => p.TrainedTokens);
        Backend.Zero(Loss);
        Backend.Zero(Trained.Gradient);
        long first = 0;
        foreach (var pass in passes)
        {
            Decoder.Run(
                pass, DecoderModel.Shape(pass, logitsChunk, recomputedLayers, backward: true, offloadsInputs), Arena,
                1.0 / tokens, new DropoutPlace(7, step, first), Loss);
            first += pass.InputIds.Length;
        }

        return ReadDouble(Loss);
    }

    /// <summary>Mean loss of rows; no gradients.</summary>
    public double MeanLoss(IReadOnlyList<Batch> passes)
    {
        Backend.Zero(Loss);
        foreach (var pass in passes)
        {
            Decoder.Run(
                pass, DecoderModel.Shape(pass, 32, 0, backward: false), Arena,
                1.0 / passes.Sum(p => p.TrainedTokens), default, Loss);
        }

        return ReadDouble(Loss);
    }

    public double ReadDouble(TensorView view)
    {
        Span<double> value = [0];
        Backend.Download(view, MemoryMarshal.AsBytes(value));
        return value[0];
    }

    public float ReadNorm()
    {
        Span<float> value = [0];
        Backend.Download(Norm, MemoryMarshal.AsBytes(value));
        return value[0];
    }

    public float[] Gradient(ParameterSlot slot)
    {
        var values = new float[slot.Count];
        Backend.Download(ParameterSet.Piece(Trained.Gradient, slot), MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    // Norms around one, everything else around zero.
    private void FillAtRandom()
    {
        static float[] Values(int count, ulong stream, bool norm)
        {
            var values = new float[count];
            for (var i = 0; i < values.Length; i++)
            {
                var centred = Philox.Uniform(Philox.Words(5, (ulong)i, stream).X) - 0.5f;
                values[i] = norm ? 1 + centred : 0.6f * centred;
            }

            return values;
        }

        if (Full is null)
        {
            TensorView[] norms =
            [
                Weights.FinalNorm,
                .. Weights.Layers.SelectMany(
                    l => new[] { l.InputNorm, l.PostAttentionNorm, l.QueryNorm, l.KeyNorm }),
            ];
            TensorView[] others =
            [
                Weights.Embedding, Weights.Head.Dense,
                .. Weights.Layers.SelectMany(l => l.Linears).SelectMany(l => new[] { l.Dense, l.Bias }),
            ];
            foreach (var (view, stream) in norms.Concat(others).Where(v => !v.IsNone).Select((v, i) => (v, (ulong)i)))
            {
                var values = Values((int)view.Count, stream, norms.Contains(view));
                Backend.Upload(
                    view.DType switch
                    {
                        DType.F64 => MemoryMarshal.AsBytes(Array.ConvertAll(values, v => (double)v).AsSpan()),
                        DType.BF16 => MemoryMarshal.AsBytes(Array.ConvertAll(values, Bf16.FromSingle).AsSpan()),
                        _ => MemoryMarshal.AsBytes(values.AsSpan()),
                    },
                    view);
            }

            return;
        }

        foreach (var (slot, stream) in Full.Parameters.Slots.Select((s, i) => (s, (ulong)i)))
        {
            var values = Values(slot.Count, stream, slot.Name.Contains("norm", StringComparison.Ordinal));
            Backend.Upload(MemoryMarshal.AsBytes(values.AsSpan()), ParameterSet.Piece(Full.Parameters.Master, slot));
        }
    }

    public void Dispose()
    {
        _memory.Dispose();
        _host.Dispose();
    }
}
