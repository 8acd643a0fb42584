using Nibble.Tensors;

namespace Nibble.Generation;

/// <summary>
/// Draws tokens from logits: greedy, or temperature with top-k and nucleus truncation (A. Holtzman et al., "The Curious
/// Case of Neural Text Degeneration", 2020). Draw i is a pure function of seed and i.
/// </summary>
/// <param name="options">Temperature, truncation, seed.</param>
public sealed class TokenSampler(SamplingOptions options)
{
    private int[] _order = [];
    private double[] _probabilities = [];

    /// <summary>The next token.</summary>
    /// <param name="logits">[V].</param>
    /// <param name="index">Number of the draw, from 0.</param>
    public int Next(ReadOnlySpan<float> logits, int index)
    {
        if (options.Temperature <= 0)
        {
            return ArgMax(logits);
        }

        if (_order.Length != logits.Length)
        {
            _order = new int[logits.Length];
            _probabilities = new double[logits.Length];
        }

        var largest = logits[ArgMax(logits)];
        for (var i = 0; i < logits.Length; i++)
        {
            _order[i] = i;
            _probabilities[i] = -Math.Exp((logits[i] - largest) / options.Temperature);
        }

        // Sorted by falling probability: keys are negated.
        Array.Sort(_probabilities, _order);
        var kept = options.TopK > 0 ? Math.Min(options.TopK, logits.Length) : logits.Length;
        var total = 0.0;
        for (var i = 0; i < kept; i++)
        {
            total -= _probabilities[i];
        }

        var (nucleus, limit) = (0.0, options.TopP >= 1 ? total : options.TopP * total);
        var last = 0;
        while (last < kept)
        {
            nucleus -= _probabilities[last++];
            if (nucleus >= limit)
            {
                break;
            }
        }

        var words = Philox.Words((ulong)(uint)options.Seed, (ulong)index, 1UL << 62);
        var threshold = ((words.X + ((ulong)words.Y << 32)) >> 11) * (1.0 / (1UL << 53)) * nucleus;
        var sum = 0.0;
        for (var i = 0; i < last; i++)
        {
            sum -= _probabilities[i];
            if (sum > threshold)
            {
                return _order[i];
            }
        }

        return _order[last - 1];
    }

    private static int ArgMax(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var i = 1; i < logits.Length; i++)
        {
            if (logits[i] > logits[best])
            {
                best = i;
            }
        }

        return best;
    }
}
