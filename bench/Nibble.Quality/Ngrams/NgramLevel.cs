namespace Nibble.Quality.Ngrams;

/// <summary>
/// Counts of all n-grams of one length and what their contexts need, in sorted arrays. A gram is one number: its
/// tokens, oldest first, in <paramref name="bits"/> bits each.
/// </summary>
/// <param name="grams">Distinct grams, ascending.</param>
/// <param name="counts">Their counts: of occurrences at the longest length, of distinct predecessors below.</param>
/// <param name="bits">Bits of a token.</param>
internal sealed class NgramLevel(UInt128[] grams, int[] counts, int bits)
{
    private readonly (UInt128[] Keys, ContextCounts[] Counts) _contexts = Contexts(grams, counts, bits);

    /// <summary>Discounts of counts 1, 2 and 3 or more.</summary>
    public double[] Discounts { get; } = DiscountsOf(counts);

    /// <summary>Distinct grams.</summary>
    public int Count => grams.Length;

    /// <summary>Sorts occurrences and counts them.</summary>
    /// <param name="occurrences">Grams with repetition; sorted in place.</param>
    /// <param name="bits">Bits of a token.</param>
    public static NgramLevel OfOccurrences(UInt128[] occurrences, int bits)
    {
        Array.Sort(occurrences);
        var distinct = 0;
        for (var i = 0; i < occurrences.Length; i++)
        {
            distinct += i == 0 || occurrences[i] != occurrences[i - 1] ? 1 : 0;
        }

        var (keys, counts, at) = (new UInt128[distinct], new int[distinct], -1);
        for (var i = 0; i < occurrences.Length; i++)
        {
            if (i == 0 || occurrences[i] != occurrences[i - 1])
            {
                keys[++at] = occurrences[i];
            }

            counts[at]++;
        }

        return new NgramLevel(keys, counts, bits);
    }

    /// <summary>The grams without their oldest token, counted by distinct predecessors. Nothing precedes a row's
    /// beginning: a gram that starts there keeps its count of occurrences.</summary>
    /// <param name="length">Tokens of a gram of this level.</param>
    /// <param name="beginning">Token that stands for what is before a row.</param>
    public NgramLevel Shorter(int length, UInt128 beginning)
    {
        var mask = (UInt128.One << (bits * (length - 1))) - 1;
        var order = new UInt128[grams.Length];
        for (var i = 0; i < order.Length; i++)
        {
            order[i] = grams[i] & mask;
        }

        var weights = (int[])counts.Clone();
        for (var i = 0; i < weights.Length; i++)
        {
            var startsRow = length > 2 && order[i] >> (bits * (length - 2)) == beginning;
            weights[i] = startsRow ? counts[i] : 1;
        }

        Array.Sort(order, weights);
        var (keys, sums) = (new List<UInt128>(), new List<int>());
        for (var i = 0; i < order.Length; i++)
        {
            if (i == 0 || order[i] != order[i - 1])
            {
                keys.Add(order[i]);
                sums.Add(0);
            }

            sums[^1] += weights[i];
        }

        return new NgramLevel([.. keys], [.. sums], bits);
    }

    /// <summary>Count of a gram, 0 when it never occurred.</summary>
    /// <param name="gram">Its number.</param>
    public int CountOf(UInt128 gram) => Array.BinarySearch(grams, gram) is var at and >= 0 ? counts[at] : 0;

    /// <summary>Counts behind a context; zeros when it never occurred.</summary>
    /// <param name="context">Number of the gram without its last token.</param>
    public ContextCounts Behind(UInt128 context) =>
        Array.BinarySearch(_contexts.Keys, context) is var at and >= 0 ? _contexts.Counts[at] : default;

    // Grams of one context are neighbours.
    private static (UInt128[] Keys, ContextCounts[] Counts) Contexts(UInt128[] grams, int[] counts, int bits)
    {
        var (keys, behind) = (new List<UInt128>(), new List<ContextCounts>());
        for (var i = 0; i < grams.Length; i++)
        {
            var context = grams[i] >> bits;
            if (keys.Count == 0 || keys[^1] != context)
            {
                keys.Add(context);
                behind.Add(default);
            }

            behind[^1] = behind[^1].With(counts[i]);
        }

        return ([.. keys], [.. behind]);
    }

    // Chen and Goodman's estimates from how many grams have counts 1 to 4. Text too small to have all four, or too odd
    // for the estimates to be discounts, gets fixed ones.
    private static double[] DiscountsOf(int[] counts)
    {
        var n = new double[5];
        foreach (var count in counts)
        {
            n[Math.Min(count, 4)] += count <= 4 ? 1 : 0;
        }

        var y = n[1] / (n[1] + (2 * n[2]));
        double[] estimates = [1 - (2 * y * n[2] / n[1]), 2 - (3 * y * n[3] / n[2]), 3 - (4 * y * n[4] / n[3])];
        for (var i = 0; i < estimates.Length; i++)
        {
            if (!(estimates[i] >= 0 && estimates[i] <= i + 1))
            {
                return [0.5, 1, 1.5];
            }
        }

        return estimates;
    }
}

/// <summary>What follows a context.</summary>
/// <param name="Total">Sum of the counts.</param>
/// <param name="Ones">Tokens with count 1.</param>
/// <param name="Twos">Tokens with count 2.</param>
/// <param name="More">Tokens with a larger count.</param>
internal readonly record struct ContextCounts(long Total, int Ones, int Twos, int More)
{
    /// <summary>One more token with a count.</summary>
    /// <param name="count">Its count.</param>
    public ContextCounts With(int count) => new(
        Total + count, Ones + (count == 1 ? 1 : 0), Twos + (count == 2 ? 1 : 0), More + (count > 2 ? 1 : 0));
}
