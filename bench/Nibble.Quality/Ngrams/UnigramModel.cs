namespace Nibble.Quality.Ngrams;

/// <summary>How often each token occurs, one added to every count.</summary>
internal sealed class UnigramModel
{
    private readonly long[] _counts;
    private readonly long _total;

    /// <summary>Counts tokens.</summary>
    /// <param name="rows">Token ids below <paramref name="vocabulary"/>.</param>
    /// <param name="vocabulary">Number of ids.</param>
    public UnigramModel(IReadOnlyList<int[]> rows, int vocabulary)
    {
        _counts = new long[vocabulary];
        foreach (var row in rows)
        {
            foreach (var token in row)
            {
                _counts[token]++;
            }

            _total += row.Length;
        }
    }

    /// <summary>Probability of a token.</summary>
    /// <param name="token">The token.</param>
    public double Probability(int token) => (_counts[token] + 1.0) / (_total + _counts.Length);
}
