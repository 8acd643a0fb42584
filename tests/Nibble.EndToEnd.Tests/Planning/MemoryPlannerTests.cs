using Nibble.Config;
using Nibble.Hosting;
using Nibble.Hosting.Benchmarks;
using Nibble.Models;
using Nibble.Planning;
using Nibble.Tensors;

namespace Nibble.EndToEnd.Tests.Planning;

/// <summary>Plans of a 7B on a GPU, which need no GPU.</summary>
public sealed class MemoryPlannerTests
{
    private const double Gib = 1L << 30;

    // The reference run: four rows of 512 tokens a step.
    private static readonly Workload ReferenceRun = new(
        LargestMicroBatch: 512, LargestStep: 2048, MeanStep: 2048, LargestStepSamples: 4, LargestEvalBatch: 0,
        EvalSamples: 0, EvalTokens: 0, LongestSample: 512, TrainedShare: 1, TotalSteps: 500);

    [Theory]
    [InlineData(5.5)]
    [InlineData(5.45)]
    public void Choose_WithinALeanBudget_KeepsTheStepInOnePassWithInputsOnTheHost(double gib)
    {
        var plan = Choose(gib);
        Assert.Equal((2048, true, true), (plan.PassTokens, plan.OffloadsInputs, plan.TableOnHost));
        Assert.InRange(plan.TotalBytes, 0, gib * Gib);

        // All inputs of [2048, 3584] in BF16 but the two on the device.
        var inputs = Assert.Single(plan.HostLedger, i => i.Item == "inputs of recomputed layers");
        Assert.Equal((plan.RecomputedLayers - 2) * 2048L * 3584 * 2, inputs.Bytes);
        Assert.Equal(inputs.Bytes, plan.PassHostBytes);
        Assert.DoesNotContain(plan.Ledger, i => i.Item == inputs.Item);
    }

    [Theory]
    [InlineData(24)]
    [InlineData(78)]
    public void Choose_WhereItBuysNothing_KeepsInputsOnTheDevice(double gib)
    {
        var plan = Choose(gib);
        Assert.Equal((2048, false, 0L), (plan.PassTokens, plan.OffloadsInputs, plan.PassHostBytes));
        Assert.DoesNotContain(plan.HostLedger, i => i.Item == "inputs of recomputed layers");
    }

    [Theory]
    [InlineData(216, true)]
    [InlineData(256, false)]
    public void Choose_OfShortSteps_CountsNoDequantisationUpToTheFusedTokens(int tokens, bool faster)
    {
        var work = ReferenceRun with { LargestMicroBatch = tokens, LargestStep = tokens, MeanStep = tokens };
        var traits = BackendChoice.AssumedGpuTraits(
            new EngineOptions("cuda", null, RecomputeMode.Allowed, (long)(6 * Gib)));
        var fused = Planner(traits).Choose(work);
        var unfused = Planner(traits with { FusedTokens = 0 }).Choose(work);
        Assert.Equal(tokens, fused.PassTokens);
        Assert.Equal(faster, fused.StepSeconds < unfused.StepSeconds);
    }

    [Fact]
    public void Choose_OnTheProcessor_KeepsInputsInTheOneMemory()
    {
        var options = new EngineOptions("cpu", 2, RecomputeMode.Allowed, null);
        var (low, high) = (1L << 30, 64L << 30);
        // The least budget that fits, to the mebibyte.
        while (high - low > 1 << 20)
        {
            var middle = (low + high) / 2;
            (low, high) = Fits(middle) ? (low, middle) : (middle, high);
        }

        Assert.False(Planner(BackendChoice.CpuTraits(options) with { BudgetBytes = high }).Choose(ReferenceRun)
            .OffloadsInputs);

        bool Fits(long budget)
        {
            try
            {
                Planner(BackendChoice.CpuTraits(options) with { BudgetBytes = budget }).Choose(ReferenceRun);
                return true;
            }
            catch (MemoryPlanException)
            {
                return false;
            }
        }
    }

    [Theory]
    [InlineData(9324, 1000, 9324)]
    [InlineData(400, 400, 400)]
    public void Choose_ShortSteps_EvaluateInPassesAsLargeAsTrainingHasRoomFor(long evalTokens, int least, int most)
    {
        var training = ReferenceRun with
        {
            LargestMicroBatch = 88,
            LargestStep = 250,
            MeanStep = 216,
            LongestSample = 88,
        };
        var plan = Choose(6, training with { LargestEvalBatch = 88, EvalSamples = 173, EvalTokens = evalTokens });
        Assert.InRange(plan.EvalPassTokens, least, most);
        Assert.Equal(Choose(6, training).PassBytes, plan.PassBytes);
    }

    [Theory]
    [InlineData(320, 1)]
    [InlineData(175, 2)]
    [InlineData(160, 3)]
    [InlineData(130, 4)]
    public void PassesPerStep_RowsThatDoNotFillPasses_CountsPassesAsTheyAreFilled(int passTokens, int passes)
    {
        var work = ReferenceRun with { MeanStep = 320, TypicalSteps = [[45, 130, 77, 68]] };
        Assert.Equal(passes, work.PassesPerStep(passTokens));
        Assert.Equal(2, (work with { TypicalSteps = [] }).PassesPerStep(160));
    }

    [Fact]
    public void Choose_RowsThatWouldFillHalfSizedPassesBadly_KeepsTheStepInOnePass()
    {
        var work = ReferenceRun with
        {
            LargestMicroBatch = 130,
            LargestStep = 320,
            MeanStep = 320,
            LongestSample = 130,
            TypicalSteps = [[45, 130, 77, 68]],
        };
        Assert.Equal(320, Choose(5.5, work).PassTokens);
    }

    private static MemoryPlan Choose(double gib) => Choose(gib, ReferenceRun);

    private static MemoryPlan Choose(double gib, Workload work)
    {
        var options = new EngineOptions("cuda", null, RecomputeMode.Allowed, (long)(gib * Gib));
        return Planner(BackendChoice.AssumedGpuTraits(options)).Choose(work);
    }

    private static MemoryPlanner Planner(DeviceTraits traits) => new(
        ModelShapes.Get("qwen2.5-7b"),
        new WeightFormat(FourBitCode.Nf4, true, DType.BF16, DType.BF16, traits.ActivationType),
        new LoraOptions
        {
            Rank = 8,
            Alpha = 16,
            Dropout = 0,
            TargetModules = TrainSuite.Attention,
            RankStabilized = false,
            InitialAdapter = null,
            LoraPlusRatio = null,
        },
        eightBitOptimizer: true, RecomputeMode.Allowed, traits);
}
