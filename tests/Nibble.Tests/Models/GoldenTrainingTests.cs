using Nibble.Config;
using Nibble.Data;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Gradients and whole training runs against transformers, peft and bitsandbytes.</summary>
public sealed class GoldenTrainingTests
{
    public static TheoryData<string, bool, bool> Runs => new()
    {
        { "train-nf4-fp32-adamw", true, true },
        { "train-nf4-fp32-adamw8bit-all-linear", true, true },
        { "train-fp4-fp32-nodq-adamw", false, false },
        { "train-lora-fp32-adamw", false, false },
    };

    [Theory]
    [MemberData(nameof(Runs))]
    public void Gradients_OfTheFirstStep_AgreeWithPeft(string run, bool nf4, bool nested)
    {
        using var backend = TestBackend.Create();
        using var tiny = Load(backend, run, nf4, nested);
        tiny.LossAndGradient([.. Goldens.Rows("qwen2").Select(r => new Batch([r]))]);
        using var golden = SafetensorsFile.Open(Goldens.Path(run, "golden_grads_step0.safetensors"));
        foreach (var slot in tiny.Lora!.Parameters.Slots)
        {
            var name = slot.Name.Replace(".weight", ".default.weight", StringComparison.Ordinal);
            var expected = golden.ReadSingle(golden.Get(name));
            var actual = tiny.Gradient(slot);
            var (difference, size) = (0.0, 0.0);
            for (var e = 0; e < expected.Length; e++)
            {
                difference += Math.Pow(expected[e] - actual[e], 2);
                size += Math.Pow(expected[e], 2);
            }

            Assert.True(
                Math.Sqrt(difference / size) < GradientTolerance(run),
                $"{slot.Name}: relative difference {Math.Sqrt(difference / size)}");
        }
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void TwentySteps_FollowPeftsLossesAndNorms(string run, bool nf4, bool nested)
    {
        var golden = Goldens.Training(run);
        using var backend = TestBackend.Create();
        using var tiny = Load(backend, run, nf4, nested);
        var eightBit = golden.Optimizer == "adamw8bit";
        var mark = tiny.Arena.Used;
        var state = OptimizerState.Allocate(tiny.Lora!.Parameters.Slots, eightBit, tiny.Arena);
        foreach (var (_, view) in state.Tensors)
        {
            backend.Zero(view);
        }

        Batch[] passes = [.. Goldens.Rows("qwen2").Select(r => new Batch([r]))];
        for (var step = 0; step < golden.Steps.Length; step++)
        {
            var loss = tiny.LossAndGradient(passes);
            backend.GradientNorm(tiny.Lora.Parameters.Gradient, tiny.Norm);
            var norm = tiny.ReadNorm();
            backend.AdamW(
                tiny.Lora.Parameters, state,
                new AdamWStep(
                    (float)golden.LearningRate, 0.9f, 0.999f, 1e-8f, 0.01f, step + 1, 1, DecayAfter: eightBit),
                tiny.Norm);
            var (expectedLoss, expectedNorm) = golden.Steps[step];
            Assert.True(
                Math.Abs(loss / expectedLoss - 1) < LossTolerance(run),
                $"step {step}: loss {loss}, peft {expectedLoss}");
            Assert.True(
                Math.Abs(norm / expectedNorm - 1) < NormTolerance(run),
                $"step {step}: norm {norm}, peft {expectedNorm}");
        }

        tiny.Arena.Release(mark);
    }

    // FP4 boundaries are simple fractions and bf16 weights of a block are simple multiples of its largest, so that
    // exact ties occur (6 of 74,000 values in nf4.safetensors). The library's kernel divides approximately and takes
    // either side of a tie; we round as IEEE says. A handful of codes of this model differ by one for that reason.
    private static bool HasTies(string run) => run.Contains("fp4-", StringComparison.Ordinal);

    private static double GradientTolerance(string run) => HasTies(run) ? 0.05 : 1e-4;

    private static double LossTolerance(string run) => HasTies(run) ? 1e-3 : 1e-4;

    private static double NormTolerance(string run) => HasTies(run) ? 0.02 : 1e-4;

    private static TinyModel Load(IBackend backend, string run, bool nf4, bool nested)
    {
        var golden = Goldens.Training(run);
        FourBitCode? code = HasTies(run) ? FourBitCode.Fp4 : nf4 ? FourBitCode.Nf4 : null;
        var tiny = new TinyModel(
            backend, Goldens.Path("qwen2"), code, nested,
            LoraTestOptions.Create(golden.Rank, golden.Alpha, golden.Targets));
        tiny.LoadAdapter(Goldens.Path(run, "initial"));
        return tiny;
    }
}

internal static class LoraTestOptions
{
    public static LoraOptions Create(int rank, double alpha, IReadOnlyList<string> targets, double dropout = 0) => new()
    {
        Rank = rank,
        Alpha = alpha,
        Dropout = dropout,
        TargetModules = targets,
        RankStabilized = false,
        InitialAdapter = null,
        LoraPlusRatio = null,
    };
}
