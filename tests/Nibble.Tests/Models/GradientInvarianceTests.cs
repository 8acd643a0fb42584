using Nibble.Cpu;
using Nibble.Data;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>The gradient of a step does not depend on how the step is computed.</summary>
public sealed class GradientInvarianceTests
{
    private static readonly string[] Modules =
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    [Theory]
    [InlineData("qwen2", 0.0)]
    [InlineData("qwen2", 0.1)]
    [InlineData("qwen3", 0.1)]
    public void Recomputation_GivesTheSameBits(string model, double dropout)
    {
        using var backend = new CpuBackend(2);
        using var tiny = Load(backend, model, dropout);
        Batch[] passes = [new Batch(Goldens.Rows(model))];
        var expected = Gradients(tiny, passes, recomputed: 0);
        for (var recomputed = 1; recomputed <= tiny.Config.Layers; recomputed++)
        {
            Assert.Equal(expected, Gradients(tiny, passes, recomputed));
        }
    }

    [Theory]
    [InlineData("qwen2", 0.0)]
    [InlineData("qwen2", 0.1)]
    [InlineData("mistral", 0.1)]
    public void Passes_CutAnyWay_GiveTheSameGradient(string model, double dropout)
    {
        using var backend = new CpuBackend(2);
        using var tiny = Load(backend, model, dropout);
        var rows = Goldens.Rows(model);
        var whole = Gradients(tiny, [new Batch(rows)], 0);
        AssertClose(whole, Gradients(tiny, [.. rows.Select(r => new Batch([r]))], 0));
        AssertClose(whole, Gradients(tiny, [new Batch(rows[..2]), new Batch(rows[2..])], 0));
    }

    [Fact]
    public void Logits_OfARow_DoNotDependOnItsNeighbours()
    {
        using var backend = new CpuBackend(2);
        using var tiny = Load(backend, "qwen2", 0);
        var rows = Goldens.Rows("qwen2");
        var together = tiny.Decoder.Logits(new Batch(rows), tiny.Arena);
        var at = 0;
        foreach (var row in rows)
        {
            var alone = tiny.Decoder.Logits(new Batch([row]), tiny.Arena);
            for (var i = 0; i < alone.Length; i++)
            {
                // F32 sums of another tiling; attention across the border would show in the first digit.
                Assert.True(
                    Math.Abs(alone[i] - together[at + i]) < 1e-4,
                    $"element {i}: {alone[i]} alone, {together[at + i]} together");
            }

            at += alone.Length;
        }
    }

    private static TinyModel Load(CpuBackend backend, string model, double dropout)
    {
        var tiny = new TinyModel(
            backend, Goldens.Path(model), FourBitCode.Nf4, nested: true,
            LoraTestOptions.Create(8, 16, Modules, dropout));
        tiny.Lora!.Initialize(backend, 3);
        foreach (var slot in tiny.Lora.Parameters.Slots.Where(s => s.Name.Contains("lora_B", StringComparison.Ordinal)))
        {
            tiny.Lora.UploadMaster(
                backend, slot, [.. Enumerable.Range(0, slot.Count).Select(i => ((i * 37 % 101) - 50) * 4e-4f)]);
        }

        backend.RefreshCompute(tiny.Lora.Parameters);
        return tiny;
    }

    private static float[] Gradients(TinyModel tiny, IReadOnlyList<Batch> passes, int recomputed)
    {
        tiny.LossAndGradient(passes, recomputed);
        return [.. tiny.Lora!.Parameters.Slots.SelectMany(tiny.Gradient)];
    }

    // F32 sums over the same tokens in another order, relative to the whole gradient.
    private static void AssertClose(float[] expected, float[] actual)
    {
        var (difference, size) = (0.0, 0.0);
        for (var i = 0; i < expected.Length; i++)
        {
            difference += Math.Pow(expected[i] - actual[i], 2);
            size += Math.Pow(expected[i], 2);
        }

        Assert.True(Math.Sqrt(difference / size) < 1e-5, $"relative difference {Math.Sqrt(difference / size)}");
    }
}
