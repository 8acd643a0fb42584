namespace Nibble.Data;

/// <summary>
/// A flat run of <c>T</c> tokens: samples side by side, no padding. Positions restart at every sample and attention
/// does not cross <see cref="CuSeqlens"/>.
/// </summary>
public sealed class Batch
{
    /// <summary>Lays <paramref name="samples"/> side by side.</summary>
    /// <param name="samples">At least one, none empty.</param>
    public Batch(IReadOnlyList<Sample> samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        var total = 0;
        foreach (var sample in samples)
        {
            total += sample.InputIds.Length;
        }

        InputIds = new int[total];
        Positions = new int[total];
        Targets = new int[total];
        CuSeqlens = new int[samples.Count + 1];
        var at = 0;
        for (var s = 0; s < samples.Count; s++)
        {
            var (ids, labels) = (samples[s].InputIds, samples[s].Labels);
            ids.CopyTo(InputIds, at);
            labels.AsSpan(1).CopyTo(Targets.AsSpan(at));
            Targets[at + ids.Length - 1] = Sample.Masked;
            for (var i = 0; i < ids.Length; i++)
            {
                Positions[at + i] = i;
            }

            at += ids.Length;
            CuSeqlens[s + 1] = at;
            TrainedTokens += samples[s].TrainedTokens;
            LongestSample = Math.Max(LongestSample, ids.Length);
        }

        TrainedPositions = new int[TrainedTokens];
        TrainedTargets = new int[TrainedTokens];
        for (var (t, i) = (0, 0); t < total; t++)
        {
            if (Targets[t] != Sample.Masked)
            {
                (TrainedPositions[i], TrainedTargets[i]) = (t, Targets[t]);
                i++;
            }
        }
    }

    /// <summary>Token ids, [T].</summary>
    public int[] InputIds { get; }

    /// <summary>Position of each token in its sample, [T].</summary>
    public int[] Positions { get; }

    /// <summary>The id each position has to predict (labels shifted left inside each sample), or
    /// <see cref="Sample.Masked"/>, [T].</summary>
    public int[] Targets { get; }

    /// <summary>Sample boundaries, [samples + 1], from 0 to T.</summary>
    public int[] CuSeqlens { get; }

    /// <summary>Positions whose target is not masked.</summary>
    public int TrainedTokens { get; }

    /// <summary>The positions whose target is not masked, ascending, [<see cref="TrainedTokens"/>].</summary>
    public int[] TrainedPositions { get; }

    /// <summary>Their targets, [<see cref="TrainedTokens"/>].</summary>
    public int[] TrainedTargets { get; }

    /// <summary>Tokens of the longest sample.</summary>
    public int LongestSample { get; }
}
