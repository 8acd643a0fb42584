using Nibble.Config;

namespace Nibble.Data.Packing;

/// <summary>
/// Which samples each optimizer step sees. A function of the step number alone, so a resumed run needs nothing else.
/// The order of an epoch is <c>torch.randperm(n)</c> with seed + epoch, as the Python stack's seedable sampler draws
/// it;
/// with sample packing that order fills bins first fit, afresh in every epoch. The last window of an epoch is a step of
/// its own even when it is short. Not safe to share between threads.
/// </summary>
public sealed class TrainingOrder
{
    private readonly int[] _lengths;
    private readonly BatchOptions _batch;
    private readonly SequenceOptions _sequence;
    private readonly long _seed;
    private readonly List<int> _firstSteps = [0];
    private List<MicroBatch> _microBatches = [];
    private int _epoch = -1;

    private TrainingOrder(int[] lengths, BatchOptions batch, SequenceOptions sequence, long seed)
    {
        (_lengths, _batch, _sequence, _seed) = (lengths, batch, sequence, seed);
        StepsPerEpoch = StepsOfEpoch(0);
        var total = batch.MaxSteps ?? (sequence.SamplePacking
            ? Math.Floor(Math.Max(1, _microBatches.Count / batch.AccumulationSteps) * batch.Epochs)
            : Math.Ceiling(lengths.Length * batch.Epochs / (batch.MicroBatchSize * batch.AccumulationSteps)));
        if (total is < 1 or > int.MaxValue)
        {
            throw new DatasetException(
                $"{lengths.Length} rows in {batch.Epochs} epochs make {total} optimizer steps; "
                + "set num_epochs or max_steps so that there is at least one.");
        }

        TotalSteps = (int)total;
    }

    /// <summary>Optimizer steps of the run: <c>max_steps</c>, or ceil(rows × epochs ÷ batch size); with packing
    /// floor(max(1, bins ÷ accumulation) × epochs), as Axolotl computes them.</summary>
    public int TotalSteps { get; }

    /// <summary>Steps of the first epoch, its short last window included; with packing later epochs may
    /// differ.</summary>
    public int StepsPerEpoch { get; }

    /// <summary>Makes the order.</summary>
    /// <param name="samples">Training samples, at least one.</param>
    /// <param name="batch">Rows per micro-batch, accumulation, epochs, steps.</param>
    /// <param name="sequence">Packing and the capacity of a bin.</param>
    /// <param name="seed">The run's seed.</param>
    /// <exception cref="DatasetException">There are no samples, or not one step.</exception>
    public static TrainingOrder Create(
        IReadOnlyList<Sample> samples, BatchOptions batch, SequenceOptions sequence, int seed)
    {
        ArgumentNullException.ThrowIfNull(samples);
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(sequence);
        if (samples.Count == 0)
        {
            throw new DatasetException("There are no training rows to put in order.");
        }

        return new TrainingOrder([.. samples.Select(sample => sample.InputIds.Length)], batch, sequence, seed);
    }

    /// <summary>The samples of one step. Steps in order are cheap; a jump to another epoch draws that epoch
    /// anew.</summary>
    /// <param name="index">Step number from 0; may reach beyond <see cref="TotalSteps"/>.</param>
    public OptimizerStep GetStep(int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        var epoch = EpochOf(index);
        DrawEpoch(epoch);
        var window = _batch.AccumulationSteps;
        var first = (index - FirstStep(epoch)) * window;
        var count = Math.Min(window, _microBatches.Count - first);
        var done = first + count;
        return new OptimizerStep(
            index,
            epoch + ((double)done / _microBatches.Count),
            done == _microBatches.Count,
            _microBatches.GetRange(first, count));
    }

    private int EpochOf(int step)
    {
        if (!_sequence.SamplePacking)
        {
            return step / StepsPerEpoch;
        }

        while (_firstSteps[^1] <= step)
        {
            _firstSteps.Add(checked(_firstSteps[^1] + StepsOfEpoch(_firstSteps.Count - 1)));
        }

        var found = _firstSteps.BinarySearch(step);
        return found >= 0 ? found : ~found - 1;
    }

    private int FirstStep(int epoch) => _sequence.SamplePacking ? _firstSteps[epoch] : epoch * StepsPerEpoch;

    private int StepsOfEpoch(int epoch)
    {
        DrawEpoch(epoch);
        return (_microBatches.Count + _batch.AccumulationSteps - 1) / _batch.AccumulationSteps;
    }

    private void DrawEpoch(int epoch)
    {
        if (epoch == _epoch)
        {
            return;
        }

        var order = Permutations.Torch(_lengths.Length, _seed + epoch);
        _microBatches = _sequence.SamplePacking
            ? BinPacker.Pack(_lengths, order, checked(_batch.MicroBatchSize * _sequence.Length))
            : EvaluationBatches.Rows(order, _batch.MicroBatchSize);
        _epoch = epoch;
    }
}
