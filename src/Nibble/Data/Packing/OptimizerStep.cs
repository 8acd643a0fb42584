namespace Nibble.Data.Packing;

/// <summary>Samples that one forward and backward pass may take together.</summary>
/// <param name="SampleIndices">Indices into the samples the order was made from, [rows].</param>
public sealed record MicroBatch(int[] SampleIndices)
{
    /// <summary>Tokens of the pass.</summary>
    /// <param name="samples">What the order was made from.</param>
    public int Tokens(IReadOnlyList<Sample> samples) => SampleIndices.Sum(i => samples[i].InputIds.Length);
}

/// <summary>The micro-batches whose gradients make one update.</summary>
/// <param name="Index">Step number from 0.</param>
/// <param name="EpochAfter">Passes over the data completed when the step is done, as <c>epoch</c> is logged.</param>
/// <param name="EndsEpoch">Whether the step takes the last micro-batch of an epoch.</param>
/// <param name="MicroBatches">At most <c>gradient_accumulation_steps</c>, fewer in the last window of an epoch.</param>
public sealed record OptimizerStep(
    int Index, double EpochAfter, bool EndsEpoch, IReadOnlyList<MicroBatch> MicroBatches);
