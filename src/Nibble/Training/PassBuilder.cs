using Nibble.Data;
using Nibble.Data.Packing;

namespace Nibble.Training;

/// <summary>One pass of the engine: some micro-batches side by side.</summary>
/// <param name="Batch">Flat run of tokens.</param>
/// <param name="LossScale">Factor on the sum of its cross-entropies.</param>
/// <param name="FirstToken">Tokens of the step before it.</param>
internal readonly record struct Pass(Batch Batch, double LossScale, long FirstToken);

/// <summary>Cuts micro-batches into the fewest passes that fit.</summary>
internal static class PassBuilder
{
    /// <summary>
    /// Passes of a step. The gradient does not depend on the cut: with token normalisation every pass has the scale
    /// 1 / trained tokens of the step; with sequence normalisation a micro-batch is a pass of its own.
    /// </summary>
    public static List<Pass> Build(
        Sample[] samples, IReadOnlyList<MicroBatch> microBatches, int passTokens, bool normalizePerMicroBatch)
    {
        var passes = new List<Pass>();
        var pending = new List<Sample>();
        var trained = microBatches.Sum(b => b.SampleIndices.Sum(i => samples[i].TrainedTokens));
        var (pendingTokens, first) = (0, 0L);
        void Flush()
        {
            if (pending.Count == 0)
            {
                return;
            }

            var batch = new Batch(pending);
            var scale = normalizePerMicroBatch
                ? 1.0 / (Math.Max(1, batch.TrainedTokens) * (double)microBatches.Count)
                : 1.0 / Math.Max(1, trained);
            passes.Add(new Pass(batch, scale, first));
            first += batch.InputIds.Length;
            pending.Clear();
            pendingTokens = 0;
        }

        foreach (var microBatch in microBatches)
        {
            var tokens = microBatch.Tokens(samples);
            if (normalizePerMicroBatch || pendingTokens + tokens > passTokens)
            {
                Flush();
            }

            pending.AddRange(microBatch.SampleIndices.Select(i => samples[i]));
            pendingTokens += tokens;
        }

        Flush();
        return passes;
    }
}
