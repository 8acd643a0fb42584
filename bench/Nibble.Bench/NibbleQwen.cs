using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Cpu;
using Nibble.Data;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Bench;

/// <summary>The same training step on the engine: frozen weights in NF4, everything else in F32.</summary>
internal sealed class NibbleQwen : IDisposable
{
    private const int Positions = 1024;

    private readonly CpuBackend _backend;
    private readonly DeviceMemory _memory;
    private readonly Arena _arena;
    private readonly DecoderModel _model;
    private readonly LoraAdapters _lora;
    private readonly OptimizerState _optimizer;
    private readonly TensorView _loss;
    private readonly TensorView _norm;
    private int _step;

    public NibbleQwen(DecoderSizes sizes, int threads)
    {
        var config = new ModelConfig
        {
            Family = "qwen2",
            HiddenSize = sizes.Hidden,
            IntermediateSize = sizes.Mlp,
            Layers = sizes.Layers,
            Heads = sizes.Heads,
            KvHeads = sizes.KvHeads,
            HeadDim = sizes.HeadDim,
            VocabularySize = sizes.Vocabulary,
            NormEpsilon = 1e-6f,
            TiedHead = false,
            QkvBias = true,
            QkNorm = false,
            Rope = new RopeOptions(1e6, null),
            Windows = new int[sizes.Layers],
            Quantization = null,
            EosIds = [],
        };
        _backend = new CpuBackend(threads);
        _memory = _backend.Allocate(1L << 30);
        _arena = new Arena(_memory);
        var weights = ModelWeights.Allocate(
            config, new WeightFormat(FourBitCode.Nf4, true, DType.F32, DType.F32, DType.F32), _arena, _arena);
        Fill(weights);
        var rope = _arena.Allocate(DType.F32, Positions, sizes.HeadDim);
        RopeTable.Fill(_backend, config.Rope, rope);
        _lora = LoraAdapters.Allocate(
            config,
            new LoraOptions
            {
                Rank = sizes.Rank,
                Alpha = 2 * sizes.Rank,
                Dropout = 0,
                TargetModules = LoraAdapters.ModuleNames,
                RankStabilized = false,
                InitialAdapter = null,
                LoraPlusRatio = null,
            },
            DType.F32,
            _arena);
        _lora.Clear(_backend);
        _lora.Initialize(_backend, 7);
        _optimizer = OptimizerState.Allocate(_lora.Parameters.Slots, eightBit: false, _arena);
        foreach (var (_, view) in _optimizer.Tensors)
        {
            _backend.Zero(view);
        }

        (_loss, _norm) = (_arena.Allocate(DType.F64, 1, 1), _arena.Allocate(DType.F32, 1, 1));
        _model = new DecoderModel(_backend, weights, _lora, rope);
    }

    /// <summary>One optimizer step over rows; returns the loss.</summary>
    public double Step(Batch batch)
    {
        _backend.Zero(_lora.Parameters.Gradient);
        _backend.Zero(_loss);
        _model.Run(
            batch, DecoderModel.Shape(batch, logitsChunk: 2048, recomputedLayers: 0, backward: true), _arena,
            1.0 / batch.TrainedTokens, default, _loss);
        _backend.GradientNorm(_lora.Parameters.Gradient, _norm);
        _backend.AdamW(
            _lora.Parameters, _optimizer,
            new AdamWStep(1e-4f, 0.9f, 0.999f, 1e-8f, 0.01f, ++_step, 1, DecayAfter: false), _norm);
        Span<double> loss = [0];
        _backend.Download(_loss, MemoryMarshal.AsBytes(loss));
        return loss[0];
    }

    public void Dispose()
    {
        _memory.Dispose();
        _backend.Dispose();
    }

    private void Fill(ModelWeights weights)
    {
        var stream = 0UL;
        void Numbers(TensorView view, float scale, float mean)
        {
            var values = new float[view.Count];
            for (var i = 0; i < values.Length; i++)
            {
                var words = Philox.Words(11, (ulong)i, stream);
                values[i] = mean + (scale * (Philox.Uniform(words.X) + Philox.Uniform(words.Y) - 1));
            }

            stream++;
            _backend.Upload(MemoryMarshal.AsBytes(values.AsSpan()), view);
        }

        Numbers(weights.Embedding, 0.05f, 0);
        Numbers(weights.Head.Dense, 0.05f, 0);
        Numbers(weights.FinalNorm, 0, 1);
        foreach (var layer in weights.Layers)
        {
            Numbers(layer.InputNorm, 0, 1);
            Numbers(layer.PostAttentionNorm, 0, 1);
            Numbers(layer.Qkv.Bias, 0.02f, 0);
            foreach (var linear in layer.Linears)
            {
                for (var i = 0; i < linear.Quantized.Length; i++)
                {
                    var matrix = linear.Quantized[i];
                    var mark = _arena.Used;
                    var dense = _arena.Allocate(DType.F32, matrix.Rows, matrix.Cols);
                    var scales = _arena.Allocate(DType.F32, 1, matrix.AbsMax.Cols);
                    Numbers(dense, 0.05f, 0);
                    _backend.Quantize4Bit(dense, matrix.Code, matrix.Codes, scales);
                    var offset = _backend.QuantizeAbsMax(scales, matrix.AbsMax, matrix.NestedAbsMax);
                    _backend.Upload(MemoryMarshal.AsBytes(CodeTables.Signed), matrix.NestedMap);
                    linear.Quantized[i] = matrix with { Offset = offset };
                    _arena.Release(mark);
                }
            }
        }
    }
}
