using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Data;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Lora;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>A tiny model folder loaded on a backend, with or without adapters.</summary>
internal sealed class TinyModel : IDisposable
{
    private readonly DeviceMemory _memory;

    public TinyModel(IBackend backend, string folder, FourBitCode? code = null, bool nested = false, LoraOptions? lora = null)
    {
        Backend = backend;
        Config = ModelConfig.Load(folder);
        var activation = backend.ActivationType;
        var table = activation == DType.BF16 ? DType.BF16 : DType.F32;
        var format = new WeightFormat(
            Config.Quantization?.Code ?? code, Config.Quantization?.DoubleQuantization ?? nested, activation, table, activation);
        _memory = backend.Allocate(256 << 20);
        Arena = new Arena(_memory);
        Weights = ModelWeights.Allocate(Config, format, Arena, Arena);
        using (var files = SafetensorsIndex.Open(folder))
        {
            new WeightLoader(backend, files, Arena).Load(Weights);
        }

        if (backend.NeedsDequantizationScratch && Weights.LargestQuantizedCount > 0)
        {
            backend.DequantizationScratch = Arena.Allocate(activation, 1, Weights.LargestQuantizedCount);
        }

        var rope = Arena.Allocate(activation == DType.F64 ? DType.F64 : DType.F32, 512, Config.HeadDim);
        RopeTable.Fill(backend, Config.Rope, rope);
        Lora = lora is null ? null : LoraAdapters.Allocate(Config, lora, activation, Arena);
        Lora?.Clear(backend);
        Decoder = new DecoderModel(backend, Weights, Lora, rope);
        Loss = Arena.Allocate(DType.F64, 1, 1);
        Norm = Arena.Allocate(DType.F32, 1, 1);
    }

    public IBackend Backend { get; }

    public ModelConfig Config { get; }

    public ModelWeights Weights { get; }

    public LoraAdapters? Lora { get; }

    public DecoderModel Decoder { get; }

    public Arena Arena { get; }

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
    public double LossAndGradient(IReadOnlyList<Batch> passes, int recomputedLayers = 0, int logitsChunk = 32, int step = 0)
    {
        var tokens = passes.Sum(p => p.TrainedTokens);
        Backend.Zero(Loss);
        Backend.Zero(Lora!.Parameters.Gradient);
        long first = 0;
        foreach (var pass in passes)
        {
            Decoder.Run(
                pass, DecoderModel.Shape(pass, logitsChunk, recomputedLayers, backward: true), Arena, 1.0 / tokens,
                new DropoutPlace(7, step, first), Loss);
            first += pass.InputIds.Length;
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
        Backend.Download(ParameterSet.Piece(Lora!.Parameters.Gradient, slot), MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    public void Dispose() => _memory.Dispose();
}
