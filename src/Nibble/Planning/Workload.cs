using Nibble.Data;
using Nibble.Data.Packing;

namespace Nibble.Planning;

/// <summary>The largest things a run will meet, so that the longest batch is planned for and not discovered.</summary>
/// <param name="LargestMicroBatch">Most tokens of a micro-batch.</param>
/// <param name="LargestStep">Most tokens of an optimizer step.</param>
/// <param name="MeanStep">Mean tokens of an optimizer step.</param>
/// <param name="LargestStepSamples">Most samples of an optimizer step.</param>
/// <param name="LargestEvalBatch">Most tokens of an evaluation batch; 0 without evaluation.</param>
/// <param name="EvalSamples">Evaluation samples.</param>
/// <param name="EvalTokens">Evaluation tokens.</param>
/// <param name="LongestSample">Most tokens of a sample.</param>
/// <param name="TrainedShare">Share of the training tokens that trains.</param>
/// <param name="TotalSteps">Optimizer steps.</param>
public sealed record Workload(
    int LargestMicroBatch, int LargestStep, double MeanStep, int LargestStepSamples,
    int LargestEvalBatch, int EvalSamples, long EvalTokens, int LongestSample, double TrainedShare, int TotalSteps)
{
    // Enough to know how micro-batches fill passes; steps are drawn at random.
    private const int MostTypicalSteps = 64;

    /// <summary>Tokens of the micro-batches of some steps; empty where only the extremes are known.</summary>
    public IReadOnlyList<IReadOnlyList<int>> TypicalSteps { get; init; } = [];

    /// <summary>Passes of a step, on average. Micro-batches share a pass as long as they fit and are never cut, so
    /// that passes are seldom full.</summary>
    /// <param name="passTokens">Most tokens of a pass.</param>
    public double PassesPerStep(int passTokens)
    {
        if (TypicalSteps.Count == 0)
        {
            return Math.Ceiling(Math.Max(1, MeanStep) / passTokens);
        }

        var passes = 0;
        foreach (var step in TypicalSteps)
        {
            var free = 0;
            foreach (var tokens in step)
            {
                if (tokens > free)
                {
                    passes++;
                    free = passTokens;
                }

                free -= tokens;
            }
        }

        return (double)passes / TypicalSteps.Count;
    }

    /// <summary>Measures a run's data.</summary>
    /// <param name="data">Tokenised rows.</param>
    /// <param name="order">Steps.</param>
    /// <param name="evaluation">Evaluation batches.</param>
    public static Workload Measure(TokenizedData data, TrainingOrder order, IReadOnlyList<MicroBatch> evaluation)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(order);
        ArgumentNullException.ThrowIfNull(evaluation);
        var (micro, largest, samples, tokens) = (0, 0, 0, 0L);
        var typical = new List<IReadOnlyList<int>>();
        for (var s = 0; s < order.TotalSteps; s++)
        {
            var batches = order.GetStep(s).MicroBatches;
            int[] batchTokens = [.. batches.Select(b => b.Tokens(data.Train))];
            if (typical.Count < MostTypicalSteps)
            {
                typical.Add(batchTokens);
            }

            micro = Math.Max(micro, batchTokens.DefaultIfEmpty(0).Max());
            largest = Math.Max(largest, batchTokens.Sum());
            samples = Math.Max(samples, batches.Sum(b => b.SampleIndices.Length));
            tokens += batchTokens.Sum();
        }

        var evalTokens = evaluation.Select(b => b.Tokens(data.Eval)).ToArray();
        return new Workload(
            micro, largest, (double)tokens / order.TotalSteps, samples,
            evalTokens.DefaultIfEmpty(0).Max(), data.Eval.Length,
            evalTokens.Sum(t => (long)t), data.Train.Concat(data.Eval).Max(s => s.InputIds.Length),
            data.Report.Train.TrainedShare, order.TotalSteps)
        {
            TypicalSteps = typical,
        };
    }

    /// <summary>A run of full rows, for planning without data.</summary>
    /// <param name="sequenceLength">Tokens of a row.</param>
    /// <param name="microBatchSize">Rows of a micro-batch.</param>
    /// <param name="accumulation">Micro-batches of a step.</param>
    /// <param name="steps">Optimizer steps.</param>
    public static Workload FullRows(int sequenceLength, int microBatchSize, int accumulation, int steps) => new(
        sequenceLength * microBatchSize, sequenceLength * microBatchSize * accumulation,
        sequenceLength * microBatchSize * accumulation, microBatchSize * accumulation,
        sequenceLength * microBatchSize, 0, 0, sequenceLength, 1, steps)
    {
        TypicalSteps = [Enumerable.Repeat(sequenceLength * microBatchSize, accumulation).ToArray()],
    };
}
