using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape, TensorView o,
        TensorView lse)
    {
        var d = shape.HeadDim;
        Guard.Shape(q, q.Rows, shape.Heads * d);
        Guard.Shape(k, k.Rows, shape.KvHeads * d);
        Guard.Shape(v, k.Rows, shape.KvHeads * d);
        Guard.Shape(o, q.Rows, q.Cols);
        Guard.Shape(lse, shape.Heads, q.Rows);
        var (vs, os, ls) = (At(v), At(o), At(lse));
        foreach (var (head, i, first, last) in Visible(cuQuery, cuKey, shape))
        {
            var column = KvColumn(head, shape);
            var scores = Scores(At(q), At(k), head, i, first, last, shape);
            var max = scores.Length == 0 ? 0 : scores.Max();
            var sum = scores.Sum(s => Math.Exp(s - max));
            ls[head, i] = max + Math.Log(sum);
            for (var c = 0; c < d; c++)
            {
                var value = 0.0;
                for (var j = first; j <= last; j++)
                {
                    value += Math.Exp(scores[j - first] - max) / sum * vs[j, column + c];
                }

                os[i, head * d + c] = value;
            }
        }
    }

    /// <inheritdoc/>
    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        var d = shape.HeadDim;
        Guard.Shape(dO, q.Rows, q.Cols);
        Guard.Shape(o, q.Rows, q.Cols);
        Guard.Shape(lse, shape.Heads, q.Rows);
        Guard.Shape(delta, shape.Heads, q.Rows);
        Guard.Shape(dq, q.Rows, q.Cols);
        Guard.Shape(dk, k.Rows, k.Cols);
        Guard.Shape(dv, v.Rows, v.Cols);
        var (dos, qs, ks, vs, os, ls, deltas) = (At(dO), At(q), At(k), At(v), At(o), At(lse), At(delta));
        var (dqs, dks, dvs) = (At(dq), At(dk), At(dv));
        Clear(dqs);
        Clear(dks);
        Clear(dvs);
        foreach (var (head, i, first, last) in Visible(cu, cu, shape))
        {
            var (row, column) = (head * d, KvColumn(head, shape));
            var scores = Scores(qs, ks, head, i, first, last, shape);
            var sum = 0.0;
            for (var c = 0; c < d; c++)
            {
                sum += dos[i, row + c] * os[i, row + c];
            }

            deltas[head, i] = sum;
            for (var j = first; j <= last; j++)
            {
                var (p, dp) = (Math.Exp(scores[j - first] - ls[head, i]), 0.0);
                for (var c = 0; c < d; c++)
                {
                    dp += dos[i, row + c] * vs[j, column + c];
                }

                var ds = p * (dp - sum);
                for (var c = 0; c < d; c++)
                {
                    dvs[j, column + c] += p * dos[i, row + c];
                    dqs[i, row + c] += shape.Scale * ds * ks[j, column + c];
                    dks[j, column + c] += shape.Scale * ds * qs[i, row + c];
                }
            }
        }
    }

    private static int KvColumn(int head, in AttentionShape shape) =>
        head / (shape.Heads / shape.KvHeads) * shape.HeadDim;

    // Every query row with the rows of the first and the last key it sees; none when last < first.
    private static IEnumerable<(int Head, int Query, int First, int Last)> Visible(
        TensorView cuQuery, TensorView cuKey, AttentionShape shape)
    {
        Guard.Shape(cuKey, 1, cuQuery.Cols);
        var (queries, keys) = (At(cuQuery), At(cuKey));
        for (var sample = 0; sample + 1 < cuQuery.Cols; sample++)
        {
            var (n, m) = (queries.Int(sample + 1) - queries.Int(sample), keys.Int(sample + 1) - keys.Int(sample));
            for (var head = 0; head < shape.Heads; head++)
            {
                for (var i = 0; i < n; i++)
                {
                    var last = i + m - n;
                    var first = shape.Window > 0 ? Math.Max(0, last - shape.Window + 1) : 0;
                    yield return (head, queries.Int(sample) + i, keys.Int(sample) + first, keys.Int(sample) + last);
                }
            }
        }
    }

    private static double[] Scores(Elements q, Elements k, int head, int i, int first, int last, in AttentionShape shape)
    {
        var scores = new double[Math.Max(0, last - first + 1)];
        for (var j = first; j <= last; j++)
        {
            for (var c = 0; c < shape.HeadDim; c++)
            {
                scores[j - first] += q[i, head * shape.HeadDim + c] * k[j, KvColumn(head, shape) + c];
            }

            scores[j - first] *= shape.Scale;
        }

        return scores;
    }

    private static void Clear(Elements view)
    {
        for (var i = 0; i < view.Rows; i++)
        {
            for (var j = 0; j < view.Cols; j++)
            {
                view[i, j] = 0;
            }
        }
    }
}
