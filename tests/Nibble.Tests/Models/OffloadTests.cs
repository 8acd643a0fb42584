using System.Runtime.InteropServices;
using Nibble.Cpu;
using Nibble.Data;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Lora;
using Nibble.Ops;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Inputs of recomputed layers that wait on the host: the same bits in less device memory.</summary>
public sealed class OffloadTests
{
    private const int Layers = 7;
    private static readonly string[] Attention = ["q_proj", "k_proj", "v_proj", "o_proj"];
    private static readonly string[] All = [.. Attention, "gate_proj", "up_proj", "down_proj"];

    [Theory]
    [InlineData("attention", 0.0, false)]
    [InlineData("attention", 0.1, true)]
    [InlineData("all", 0.0, true)]
    [InlineData("all", 0.1, false)]
    [InlineData("down", 0.1, false)]
    [InlineData("none", 0.0, false)]
    [InlineData("none", 0.0, true)]
    public void LossAndGradients_InputsOnTheHost_AreTheSameBits(string targets, double dropout, bool tied)
    {
        using var cpu = new CpuBackend(2);
        var late = new LateTransfers(cpu);
        using var plain = Model(cpu, targets, dropout, tied);
        using var hosted = Model(late, targets, dropout, tied);
        Batch[] passes = [new Batch([Row(9, 1), Row(14, 2)]), new Batch([Row(5, 3)])];
        var loss = plain.LossAndGradient(passes);
        var (gradients, evaluation) = (Flat(plain), plain.MeanLoss(passes));
        Assert.Contains(gradients, g => g != 0);
        for (var recomputed = 1; recomputed <= Layers; recomputed++)
        {
            // At once, and as late as transfers may happen.
            foreach (var model in new[] { plain, hosted })
            {
                Assert.Equal(loss, model.LossAndGradient(passes, recomputed, offloadsInputs: true));
                Assert.Equal(gradients, Flat(model));
                Assert.Equal(evaluation, model.MeanLoss(passes));
            }

            Assert.Equal(0, late.UnderWay);
        }

        // Every recomputed layer but the last two, out and back in each of two passes.
        Assert.Equal(2 * 2 * Enumerable.Range(1, Layers).Sum(r => Math.Max(0, r - 2)), late.Started);
    }

    [Theory]
    [InlineData("all")]
    [InlineData("none")]
    public void Gradients_OnTheReference_AreTheSameBits(string targets)
    {
        using var backend = new ReferenceBackend();
        using var model = Model(backend, targets, 0, false);
        Batch[] passes = [new Batch([Row(4, 1), Row(3, 2)])];
        var loss = model.LossAndGradient(passes);
        var gradients = Flat(model);
        Assert.Equal(loss, model.LossAndGradient(passes, Layers, offloadsInputs: true));
        Assert.Equal(gradients, Flat(model));
    }

    [Theory]
    [InlineData(TestBackend.Cpu, 40)]
    [InlineData(TestBackend.CardF32, 500)]
    [InlineData(TestBackend.CardBf16, 500)]
    public void Adapters_TrainedWithInputsOnTheHost_AreTheSameBits(string name, int rowLength)
    {
        using var backend = TestBackend.Open(name);
        Batch[] passes = [new Batch([Row(rowLength, 1), Row(rowLength, 2)]), new Batch([Row(rowLength - 7, 3)])];
        var kept = Train(offloadsInputs: false);
        var hosted = Train(offloadsInputs: true);
        Assert.Equal(kept.Losses, hosted.Losses);
        Assert.Equal(kept.Adapters, hosted.Adapters);
        Assert.NotEqual(kept.Losses[0], kept.Losses[^1]);

        (List<double> Losses, float[] Adapters) Train(bool offloadsInputs)
        {
            var config = Config(false) with
            {
                HiddenSize = 256,
                IntermediateSize = 512,
                Heads = 4,
                KvHeads = 2,
                HeadDim = 64,
            };
            using var model = Model(backend, config, "all", 0.1);
            var state = OptimizerState.Allocate(model.Trained.Slots, eightBit: false, model.Arena);
            foreach (var (_, view) in state.Tensors)
            {
                backend.Zero(view);
            }

            var losses = new List<double>();
            for (var step = 0; step < 6; step++)
            {
                losses.Add(model.LossAndGradient(passes, Layers, step: step, offloadsInputs: offloadsInputs));
                backend.GradientNorm(model.Trained.Gradient, model.Norm);
                backend.AdamW(
                    model.Trained, state,
                    new AdamWStep(1e-3f, 0.9f, 0.999f, 1e-8f, 0, step + 1, 1, DecayAfter: false), model.Norm);
            }

            var adapters = new float[model.Trained.Master.Cols];
            backend.Download(model.Trained.Master, MemoryMarshal.AsBytes(adapters.AsSpan()));
            return (losses, adapters);
        }
    }

    [Fact]
    public void Slots_BelowTheLowestAdapter_StayOnTheDevice()
    {
        const int Lowest = 3;
        using var cpu = new CpuBackend(1);
        var late = new LateTransfers(cpu);
        using var memory = cpu.Allocate(1 << 16);
        using var host = cpu.Allocate(1 << 16, MemoryKind.PinnedHost);
        var (arena, hostArena) = (new Arena(memory), new Arena(host));
        var source = arena.Allocate(DType.F32, Layers, 4);
        var result = arena.Allocate(DType.F32, Layers, 4);
        float[] values = [.. Enumerable.Range(0, Layers * 4)];
        late.Upload(MemoryMarshal.AsBytes(values.AsSpan()), source);
        var inputs = LayerInputs.Allocate(Layers, Lowest, DType.F32, 1, 4, arena, hostArena);
        for (var l = 0; l < Layers; l++)
        {
            inputs.Claim(late, l);
            late.Convert(source.RowRange(l, 1), inputs[l]);
            inputs.Written(late, l);
        }

        for (var l = Layers - 1; l >= Lowest; l--)
        {
            inputs.Claim(late, l);
            late.Convert(inputs[l], result.RowRange(l, 1));
            inputs.Used(late, l);
        }

        var read = new float[values.Length];
        late.Download(result, MemoryMarshal.AsBytes(read.AsSpan()));
        Assert.Equal(values[(4 * Lowest)..], read[(4 * Lowest)..]);
        Assert.Equal((0, 2 * (Layers - 2 - Lowest)), (late.UnderWay, (int)late.Started));
    }

    [Fact]
    public void Bytes_InputsOnTheHost_MoveThereAllButTwo()
    {
        var config = Config(false);
        var lora = LoraAdapters.Allocate(config, LoraTestOptions.Create(4, 8, All), DType.F32, Arena.Counting());
        var kept = new PassShape(64, 2, 64, 32, Layers, Backward: true);
        var hosted = kept with { OffloadsInputs = true };
        var moved = (Layers - 2) * 64L * config.HiddenSize * sizeof(float);
        Assert.Equal(moved, Device(kept) - Device(hosted));
        Assert.Equal(moved, Host(hosted));
        Assert.Equal(0, Host(kept));
        Assert.Equal(0, Host(hosted with { RecomputedLayers = 2 }));
        Assert.Equal(0, Host(hosted with { Backward = false }));

        long Device(PassShape shape) => DecoderModel.PassBytes(config, lora, DType.F32, shape);
        long Host(PassShape shape) => DecoderModel.PassHostBytes(config, lora, DType.F32, shape);
    }

    [Fact]
    public void Pass_WithoutHostMemory_SaysWhatIsMissing()
    {
        var shape = new PassShape(8, 1, 8, 8, Layers, Backward: true) { OffloadsInputs = true };
        var error = Assert.Throws<ArgumentException>(
            () => PassBuffers.Allocate(Config(false), null, DType.F32, shape, Arena.Counting()));
        Assert.Contains("expected pinned host memory for the inputs of recomputed layers", error.Message);
    }

    private static ModelConfig Config(bool tied) => ModelConfig.Load(Goldens.Path("qwen2")) with
    {
        HiddenSize = 24,
        IntermediateSize = 40,
        Layers = Layers,
        Heads = 3,
        KvHeads = 1,
        HeadDim = 8,
        VocabularySize = 31,
        TiedHead = tied,
        Windows = new int[Layers],
    };

    private static TinyModel Model(IBackend backend, string targets, double dropout, bool tied) =>
        Model(backend, Config(tied), targets, dropout);

    private static TinyModel Model(IBackend backend, ModelConfig config, string targets, double dropout)
    {
        if (targets == "none")
        {
            return new TinyModel(backend, config);
        }

        var modules = targets switch { "all" => All, "down" => ["down_proj"], _ => Attention };
        var model = new TinyModel(backend, config, LoraTestOptions.Create(4, 8, modules, dropout));
        model.Lora!.Initialize(backend, 3);
        foreach (var slot in model.Lora.Parameters.Slots.Where(
            s => s.Name.Contains("lora_B", StringComparison.Ordinal)))
        {
            model.Lora.UploadMaster(
                backend, slot, [.. Enumerable.Range(0, slot.Count).Select(i => ((i * 37 % 101) - 50) * 4e-3f)]);
        }

        backend.RefreshCompute(model.Lora.Parameters);
        return model;
    }

    private static Sample Row(int length, int seed)
    {
        int[] ids = [.. Enumerable.Range(0, length).Select(i => ((i * 7) + (seed * 5)) % 31)];
        return new Sample(ids, [Sample.Masked, .. ids[1..]], "test");
    }

    private static float[] Flat(TinyModel model) => [.. model.Trained.Slots.SelectMany(model.Gradient)];
}
