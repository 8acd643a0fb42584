namespace Nibble.Quality.Ngrams;

/// <summary>
/// An interpolated n-gram model with modified Kneser–Ney smoothing over token ids. Source: S. Chen and J. Goodman,
/// "An Empirical Study of Smoothing Techniques for Language Modeling", 1998, sections 2.7 and 3.1; below the
/// unigrams stands the uniform distribution.
/// </summary>
internal sealed class NgramModel
{
    private readonly NgramLevel[] _levels;
    private readonly int _vocabulary;
    private readonly int _bits;

    private NgramModel(NgramLevel[] levels, int vocabulary, int bits) =>
        (_levels, _vocabulary, _bits) = (levels, vocabulary, bits);

    /// <summary>Tokens of the longest gram.</summary>
    public int Order => _levels.Length;

    /// <summary>Distinct grams of every length, from 1.</summary>
    public IReadOnlyList<int> Sizes => [.. _levels.Select(l => l.Count)];

    /// <summary>Counts the grams of rows; none crosses from one row into the next.</summary>
    /// <param name="rows">Token ids below <paramref name="vocabulary"/>.</param>
    /// <param name="vocabulary">Number of ids.</param>
    /// <param name="order">Tokens of the longest gram.</param>
    /// <exception cref="ArgumentOutOfRangeException">A gram of that length does not fit 128 bits.</exception>
    public static NgramModel Train(IReadOnlyList<int[]> rows, int vocabulary, int order)
    {
        var bits = BitsOf(vocabulary);
        ArgumentOutOfRangeException.ThrowIfLessThan(order, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order * bits, 127, nameof(order));
        var occurrences = new UInt128[rows.Sum(r => (long)r.Length)];
        var at = 0;
        foreach (var row in rows)
        {
            var context = Beginning(vocabulary, bits, order);
            foreach (var token in row)
            {
                var gram = (context << bits) | (UInt128)(uint)token;
                occurrences[at++] = gram;
                context = Last(gram, bits, order - 1);
            }
        }

        var levels = new NgramLevel[order];
        levels[^1] = NgramLevel.OfOccurrences(occurrences, bits);
        for (var length = order; length > 1; length--)
        {
            levels[length - 2] = levels[length - 1].Shorter(length, (UInt128)(uint)vocabulary);
        }

        return new NgramModel(levels, vocabulary, bits);
    }

    /// <summary>Probability of a token after others.</summary>
    /// <param name="row">The row, or its beginning.</param>
    /// <param name="position">Tokens before the one in question; those within the order count,
    /// and the row's beginning does.</param>
    /// <param name="token">The token.</param>
    public double Probability(ReadOnlySpan<int> row, int position, int token)
    {
        var context = Beginning(_vocabulary, _bits, Order);
        foreach (var id in row[Math.Max(0, position - Order + 1)..position])
        {
            context = Last((context << _bits) | (UInt128)(uint)id, _bits, Order - 1);
        }

        var probability = 1.0 / _vocabulary;
        for (var length = 1; length <= Order; length++)
        {
            var known = Last(context, _bits, length - 1);
            var level = _levels[length - 1];
            var behind = level.Behind(known);
            if (behind.Total == 0)
            {
                // A context never seen has no longer one that was.
                break;
            }

            var d = level.Discounts;
            var count = level.CountOf((known << _bits) | (UInt128)(uint)token);
            var kept = count == 0 ? 0 : count - d[Math.Min(count, 3) - 1];
            var freed = (d[0] * behind.Ones) + (d[1] * behind.Twos) + (d[2] * behind.More);
            probability = (kept + (freed * probability)) / behind.Total;
        }

        return probability;
    }

    // The beginning of a row is a token of its own, one above the ids, as often as a context is long.
    private static UInt128 Beginning(int vocabulary, int bits, int order)
    {
        var context = UInt128.Zero;
        for (var i = 1; i < order; i++)
        {
            context = (context << bits) | (UInt128)(uint)vocabulary;
        }

        return context;
    }

    private static UInt128 Last(UInt128 gram, int bits, int tokens) => gram & ((UInt128.One << (bits * tokens)) - 1);

    private static int BitsOf(int vocabulary) => 32 - int.LeadingZeroCount(vocabulary);
}
