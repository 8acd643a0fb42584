using Nibble.Checkpoints;
using Nibble.Data;

namespace Nibble.Hosting;

/// <summary>
/// What a model predicts at every trained token of some rows: its loss there, the likeliest token, and when others are
/// to be compared with it also its likeliest tokens with their probabilities, which are few enough to keep.
/// </summary>
internal sealed class TokenPredictions
{
    // The rest counts as one token, so a divergence is a lower bound: close where a model is sure, loose where its
    // distribution is flat.
    private const int Kept = 256;

    // A rest that rounding has emptied must not make a divergence infinite.
    private const double LeastRest = 1e-15;

    private readonly double[] _losses;
    private readonly int[] _top;
    private readonly int[] _ids;
    private readonly double[] _logs;
    private readonly int _kept;

    private TokenPredictions(int tokens, int kept) =>
        (_kept, _losses, _top, _ids, _logs) = (
            kept, new double[tokens], new int[tokens], new int[tokens * kept], new double[tokens * kept]);

    /// <summary>Mean loss per token.</summary>
    public double Loss => _losses.Average();

    /// <summary>Runs a model.</summary>
    /// <param name="runtime">Model; opened with <see cref="AdapterRuntimeOptions.ReadsLogits"/>.</param>
    /// <param name="batches">Rows.</param>
    /// <param name="compared">Whether other models are to be compared with this one.</param>
    /// <param name="references">Models that this one is compared with.</param>
    /// <param name="cancellation">Throws between batches.</param>
    /// <returns>Predictions, and the distance from each reference.</returns>
    public static (TokenPredictions Predictions, ModelDistance[] Distances) Read(
        AdapterRuntime runtime, IReadOnlyList<Batch> batches, bool compared,
        IReadOnlyList<TokenPredictions> references, CancellationToken cancellation)
    {
        var (tokens, vocabulary) = (batches.Sum(b => b.TrainedTokens), runtime.Model.VocabularySize);
        var result = new TokenPredictions(tokens, compared ? Math.Min(Kept, vocabulary) : 0);
        var divergences = references.Select(_ => new double[tokens]).ToArray();
        var start = 0;
        foreach (var batch in batches)
        {
            cancellation.ThrowIfCancellationRequested();
            runtime.ReadLogits(batch, (first, logits) => Parallel.For(0, logits.Length / vocabulary, i =>
            {
                var token = start + first + i;
                var row = logits.Span.Slice(i * vocabulary, vocabulary);
                var sum = result.Take(token, row, batch.TrainedTargets[first + i]);
                for (var r = 0; r < references.Count; r++)
                {
                    divergences[r][token] = references[r].Divergence(token, row, sum);
                }
            }));
            start += batch.TrainedTokens;
        }

        return (
            result,
            [
                .. references.Select((r, i) => new ModelDistance(
                    divergences[i].Average(),
                    r._top.Zip(result._top).Count(p => p.First == p.Second) / (double)tokens)),
            ]);
    }

    // The logarithm of the sum of exponentials of the row.
    private double Take(int token, ReadOnlySpan<float> logits, int target)
    {
        var top = 0;
        for (var v = 1; v < logits.Length; v++)
        {
            top = logits[v] > logits[top] ? v : top;
        }

        var (most, total) = ((double)logits[top], 0.0);
        foreach (var logit in logits)
        {
            total += Math.Exp(logit - most);
        }

        var sum = most + Math.Log(total);
        (_top[token], _losses[token]) = (top, sum - logits[target]);
        if (_kept > 0)
        {
            Keep(token, logits, sum);
        }

        return sum;
    }

    private void Keep(int token, ReadOnlySpan<float> logits, double sum)
    {
        var likeliest = new PriorityQueue<int, float>(_kept + 1);
        for (var v = 0; v < logits.Length; v++)
        {
            if (likeliest.Count < _kept)
            {
                likeliest.Enqueue(v, logits[v]);
            }
            else if (likeliest.TryPeek(out _, out var least) && logits[v] > least)
            {
                likeliest.EnqueueDequeue(v, logits[v]);
            }
        }

        for (var k = 0; k < _kept; k++)
        {
            var id = likeliest.Dequeue();
            (_ids[(token * _kept) + k], _logs[(token * _kept) + k]) = (id, logits[id] - sum);
        }
    }

    private double Divergence(int token, ReadOnlySpan<float> logits, double sum)
    {
        var (total, restOfMine, restOfOther) = (0.0, 1.0, 1.0);
        for (var k = token * _kept; k < (token + 1) * _kept; k++)
        {
            var (mine, other) = (_logs[k], logits[_ids[k]] - sum);
            var probability = Math.Exp(mine);
            total += probability * (mine - other);
            (restOfMine, restOfOther) = (restOfMine - probability, restOfOther - Math.Exp(other));
        }

        return restOfMine > LeastRest
            ? total + (restOfMine * Math.Log(restOfMine / Math.Max(restOfOther, LeastRest)))
            : total;
    }
}
