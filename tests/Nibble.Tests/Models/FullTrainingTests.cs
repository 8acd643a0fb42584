using System.Runtime.InteropServices;
using Nibble.Data;
using Nibble.Models;
using Nibble.Models.Full;
using Nibble.Ops;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Training every weight: against transformers, against differences, and against itself.</summary>
public sealed class FullTrainingTests
{
    [Fact]
    public void TenSteps_FollowTransformersLossesAndNorms()
    {
        var (rate, decay, steps) = Goldens.FullTraining();
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"), full: true);

        // The golden run gives every tensor to one parameter group.
        var parameters = new ParameterSet(
            [.. tiny.Trained.Slots.Select(s => s with { Decays = true })], tiny.Trained.Master, tiny.Trained.Gradient);
        var state = OptimizerState.Allocate(parameters.Slots, eightBit: false, tiny.Arena);
        foreach (var (_, view) in state.Tensors)
        {
            backend.Zero(view);
        }

        Batch[] passes = [.. Goldens.Rows("qwen2").Select(r => new Batch([r]))];
        for (var step = 0; step < steps.Length; step++)
        {
            var loss = tiny.LossAndGradient(passes);
            backend.GradientNorm(parameters.Gradient, tiny.Norm);
            var norm = tiny.ReadNorm();
            backend.AdamW(
                parameters, state,
                new AdamWStep((float)rate, 0.9f, 0.999f, 1e-8f, (float)decay, step + 1, 1, DecayAfter: false),
                tiny.Norm);

            // F32 sums in another order than the library's, through ten updates.
            Assert.True(
                Math.Abs(loss / steps[step].Loss - 1) < 1e-4,
                $"step {step}: loss {loss}, transformers {steps[step].Loss}");
            Assert.True(
                Math.Abs(norm / steps[step].Norm - 1) < 1e-4,
                $"step {step}: norm {norm}, transformers {steps[step].Norm}");
        }
    }

    [Theory]
    [InlineData(false, true, false)]
    [InlineData(true, true, false)]
    [InlineData(false, false, true)]
    public void Gradients_OfEveryTensor_AgreeWithDifferencesInDouble(bool tied, bool bias, bool queryKeyNorm)
    {
        // Odd enough that q, k and v differ in size and no stack is a multiple of a vector.
        var config = ModelConfig.Load(Goldens.Path("qwen2")) with
        {
            HiddenSize = 10,
            IntermediateSize = 7,
            Layers = 2,
            Heads = 3,
            KvHeads = 1,
            HeadDim = 4,
            VocabularySize = 11,
            TiedHead = tied,
            QkvBias = bias,
            QkNorm = queryKeyNorm,
        };
        using var backend = new ReferenceBackend();
        using var tiny = new TinyModel(backend, config);
        Batch[] passes = [new Batch([Row([1, 7, 7, 3]), Row([2, 10, 1])]), new Batch([Row([7, 0, 5])])];
        tiny.LossAndGradient(passes, recomputedLayers: 1, logitsChunk: 2);
        foreach (var slot in tiny.Trained.Slots)
        {
            var gradient = tiny.Gradient(slot);

            // The largest element, which no difference of two losses can miss, the first and the last.
            var largest = Array.FindIndex(gradient, g => Math.Abs(g) == gradient.Max(Math.Abs));
            foreach (var element in new[] { largest, 0, gradient.Length - 1 })
            {
                var difference = Difference(tiny, passes, slot.Compute, element);

                // h² of the third derivative, and gradients that are kept in F32.
                var limit = (1e-5 * Math.Abs(difference)) + 1e-7;
                Assert.True(
                    Math.Abs(gradient[element] - difference) < limit,
                    $"{slot.Name}[{element}]: gradient {gradient[element]:G9}, difference {difference:G9}");
            }
        }

        Assert.Equal(!tied, tiny.Trained.Slots.Any(s => s.Name == "lm_head.weight"));
        Assert.Equal(config.ParameterCount, tiny.Full!.TrainableCount);
    }

    [Fact]
    public void Gradients_DoNotDependOnRecomputationOrPassesOrChunks()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2-tied"), full: true);
        var rows = Goldens.Rows("qwen2-tied");
        Batch[] apart = [.. rows.Select(r => new Batch([r]))];
        tiny.LossAndGradient(apart);
        var expected = Flat(tiny);
        tiny.LossAndGradient(apart, recomputedLayers: tiny.Config.Layers);
        Assert.Equal(expected, Flat(tiny));
        tiny.LossAndGradient([new Batch(rows)], logitsChunk: 7);
        var together = Flat(tiny);
        var (difference, size) = (0.0, 0.0);
        for (var i = 0; i < expected.Length; i++)
        {
            difference += Math.Pow(expected[i] - together[i], 2);
            size += Math.Pow(expected[i], 2);
        }

        // The same sums cut elsewhere: a few roundings of F32.
        Assert.True(Math.Sqrt(difference / size) < 1e-5, $"relative difference {Math.Sqrt(difference / size)}");
    }

    [Fact]
    public void Slots_AreTheTensorsOfTheModelFolder()
    {
        using var backend = TestBackend.Create();
        foreach (var model in new[] { "qwen2", "qwen2-tied", "qwen3", "llama3" })
        {
            using var tiny = new TinyModel(backend, Goldens.Path(model), full: true);
            using var files = SafetensorsIndex.Open(Goldens.Path(model));
            Assert.Equal(
                files.Names.Where(n => !tiny.Config.TiedHead || n != "lm_head.weight").Order(StringComparer.Ordinal),
                tiny.Trained.Slots.Select(s => s.Name).Order(StringComparer.Ordinal));
            Assert.Equal(tiny.Config.ParameterCount, tiny.Full!.TrainableCount);
            foreach (var slot in tiny.Trained.Slots)
            {
                var values = new float[slot.Count];
                backend.Download(ParameterSet.Piece(tiny.Trained.Master, slot), MemoryMarshal.AsBytes(values.AsSpan()));
                Assert.Equal(files.ReadSingle(slot.Name), values);
            }
        }
    }

    [Theory]
    [InlineData("model.layers.0.input_layernorm.weight", false)]
    [InlineData("model.layers.0.self_attn.q_norm.weight", false)]
    [InlineData("model.norm.weight", false)]
    [InlineData("model.layers.0.self_attn.q_proj.bias", false)]
    [InlineData("model.layers.0.self_attn.q_proj.weight", true)]
    [InlineData("model.embed_tokens.weight", true)]
    [InlineData("lm_head.weight", true)]
    public void Decay_SparesNormsAndBiases(string name, bool decays) =>
        Assert.Equal(decays, FullParameters.Decays(name));

    [Fact]
    public void EightBitState_OfTheEmbedding_StaysF32()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"), full: true);
        var state = OptimizerState.Allocate(tiny.Trained.Slots, eightBit: true, Arena.Counting());
        var embedding = Array.FindIndex(tiny.Trained.Slots, s => s.Name == "model.embed_tokens.weight");
        var head = Array.FindIndex(tiny.Trained.Slots, s => s.Name == "lm_head.weight");
        Assert.False(state.IsEightBit[embedding]);
        Assert.True(state.IsEightBit[head]);
    }

    [Theory]
    [InlineData(28, null)]
    [InlineData(
        100,
        "every weight trains, which is possible up to 2.15 billion parameters; "
        + "base_model has 4.91 billion. Add adapter: lora")]
    public void RequireTrainable_BySize_RefusesWhatAFlatBufferCannotNumber(int layers, string? message)
    {
        // The widths of a 1.5 B model.
        var config = ModelConfig.Load(Goldens.Path("qwen2-tied")) with
        {
            HiddenSize = 1536,
            IntermediateSize = 8960,
            Layers = layers,
            Heads = 12,
            KvHeads = 2,
            HeadDim = 128,
            VocabularySize = 151936,
        };
        if (message is null)
        {
            FullParameters.RequireTrainable(config);
        }
        else
        {
            var error = Assert.Throws<ModelFormatException>(() => FullParameters.RequireTrainable(config));
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void RequireTrainable_WeightsSavedInFourBits_NamesTheWaysOut()
    {
        var config = ModelConfig.Load(Goldens.Path("qwen2-bnb-nf4"));
        var error = Assert.Throws<ModelFormatException>(() => FullParameters.RequireTrainable(config));
        Assert.Contains("Add adapter: lora, or name the unquantised model", error.Message, StringComparison.Ordinal);
    }

    private static Sample Row(int[] ids) => new(ids, [Sample.Masked, .. ids[1..]], "test");

    private static double Difference(TinyModel tiny, Batch[] passes, TensorView weight, int element)
    {
        const double Step = 1e-4;
        var place = weight.RowRange(element / weight.Cols, 1).ColRange(element % weight.Cols, 1);
        var value = tiny.ReadDouble(place);
        double Loss(double moved)
        {
            tiny.Backend.Upload(MemoryMarshal.AsBytes([moved]), place);
            return tiny.MeanLoss(passes);
        }

        var difference = (Loss(value + Step) - Loss(value - Step)) / (2 * Step);
        tiny.Backend.Upload(MemoryMarshal.AsBytes([value]), place);
        return difference;
    }

    private static float[] Flat(TinyModel tiny)
    {
        var values = new float[tiny.Trained.Gradient.Cols];
        tiny.Backend.Download(tiny.Trained.Gradient, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
