using Nibble.Config;

namespace Nibble.Data.Packing;

/// <summary>Batches of an evaluation: every sample once, in order.</summary>
public static class EvaluationBatches
{
    /// <summary>Rows of <c>eval_batch_size</c>, or with evaluation packing bins of that many sequence
    /// lengths.</summary>
    /// <param name="samples">Evaluation samples.</param>
    /// <param name="batch">Evaluation batch size.</param>
    /// <param name="sequence">Packing and the capacity of a bin.</param>
    public static IReadOnlyList<MicroBatch> Create(
        IReadOnlyList<Sample> samples, BatchOptions batch, SequenceOptions sequence)
    {
        ArgumentNullException.ThrowIfNull(samples);
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(sequence);
        var order = Enumerable.Range(0, samples.Count).ToArray();
        if (!sequence.EvalSamplePacking)
        {
            return Rows(order, batch.EvalBatchSize);
        }

        var lengths = samples.Select(sample => sample.InputIds.Length).ToArray();
        return BinPacker.Pack(lengths, order, checked(batch.EvalBatchSize * sequence.Length));
    }

    /// <summary>Consecutive runs of <paramref name="size"/> indices; the last may be shorter.</summary>
    internal static List<MicroBatch> Rows(ReadOnlySpan<int> order, int size)
    {
        var batches = new List<MicroBatch>((order.Length + size - 1) / size);
        for (var start = 0; start < order.Length; start += size)
        {
            batches.Add(new MicroBatch(order.Slice(start, Math.Min(size, order.Length - start)).ToArray()));
        }

        return batches;
    }
}
