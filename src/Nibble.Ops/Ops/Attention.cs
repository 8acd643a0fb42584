using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse)
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

    private static double[] Scores(
        Elements q, Elements k, int head, int i, int first, int last, in AttentionShape shape)
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

internal static class AttentionCases
{
    private static readonly int[] HeadDims = [32, 64, 96, 128, 256];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. HeadDims.SelectMany(d => Training([5, 1, 9], 4, 2, d, 0)),
        .. Training([], 2, 1, 64, 0),
        .. Training([1], 1, 1, 32, 0),
        .. Training([3, 0, 2], 2, 2, 32, 0),
        .. Training([64, 65], 3, 1, 32, 0),
        .. Training([130], 2, 2, 64, 0),
        .. Training([17, 40], 6, 2, 64, 7),
        .. Training([300], 2, 1, 64, 0),
        .. Training([150], 2, 1, 32, 64),
        .. Training([6, 3], 14, 2, 64, 0, sharp: 2),
        .. HeadDims.SelectMany(d => Cached([1], [33], 4, 2, d, 0)),
        .. Cached([1, 1, 1], [1, 70, 12], 6, 2, 64, 0),
        .. Cached([3, 5], [3, 40], 2, 1, 32, 0),
        .. Cached([4, 1], [90, 130], 2, 1, 64, 16),
        .. Cached([1], [1000], 2, 1, 64, 0),
        .. Cached([0, 1, 0, 1, 2], [5, 9, 12, 3, 70], 4, 2, 64, 0),
        .. Cached([6, 0, 70, 0], [6, 9, 80, 4], 4, 2, 64, 0),
    ];

    private static OpCase[] Training(int[] lengths, int heads, int kvHeads, int d, int window, double sharp = 1)
    {
        var name = $"samples={string.Join('+', lengths)} H={heads} Hkv={kvHeads} "
            + $"D={d}{(window > 0 ? $" window={window}" : "")}"
            + (sharp > 1 ? " peaked" : "");
        return
        [
            .. new OpCase("Attention", name, s => Forward(s, lengths, heads, kvHeads, d, window, sharp))
                .InBothLayouts(),
            .. new OpCase("AttentionBackward", name, s => Backward(s, lengths, heads, kvHeads, d, window, sharp))
            {
                HasGradient = lengths.Sum() < 100,
            }.InBothLayouts(),
        ];
    }

    private static OpCase[] Cached(int[] queries, int[] keys, int heads, int kvHeads, int d, int window)
    {
        var name = $"queries={string.Join('+', queries)} keys={string.Join('+', keys)} H={heads} Hkv={kvHeads} D={d}"
            + (window > 0 ? $" window={window}" : "");
        return new OpCase("Attention", name, s => Decode(s, queries, keys, heads, kvHeads, d, window)).InBothLayouts();
    }

    // q, k and v as columns of one tensor, as the fused projection leaves them.
    private static void Forward(OpScope s, int[] lengths, int heads, int kvHeads, int d, int window, double sharp)
    {
        var (t, shape, cu) =
            (lengths.Sum(), Shape(heads, kvHeads, d, window, lengths, lengths), Boundaries(s, lengths));
        var qkv = s.Input("qkv", t, (heads + 2 * kvHeads) * d, sharp);
        var o = s.Output(
            "o", s.Activation, t, heads * d, new Tolerance(ToleranceClass.Attention, shape.LongestKey + d));
        var lse = s.Output("lse", s.Real, heads, t, new Tolerance(ToleranceClass.Attention, shape.LongestKey + d));
        s.Backend.Attention(Q(qkv, shape), K(qkv, shape), V(qkv, shape), cu, cu, shape, o, lse);
    }

    private static void Backward(OpScope s, int[] lengths, int heads, int kvHeads, int d, int window, double sharp)
    {
        var (t, shape, cu) =
            (lengths.Sum(), Shape(heads, kvHeads, d, window, lengths, lengths), Boundaries(s, lengths));
        var (qkv, dO) = (s.Input("qkv", t, (heads + 2 * kvHeads) * d, sharp), s.Input("dO", t, heads * d));
        var (o, lse, delta) =
            (s.Fresh(s.Activation, t, heads * d), s.Fresh(s.Real, heads, t), s.Fresh(s.Real, heads, t));
        var dqkv = s.Output(
            "dqkv", s.Activation, t, qkv.Cols,
            new Tolerance(ToleranceClass.AttentionGradient, shape.LongestKey * (heads / kvHeads) + d));
        s.Backend.Attention(Q(qkv, shape), K(qkv, shape), V(qkv, shape), cu, cu, shape, o, lse);
        s.Loss(o, dO);
        if (s.ClaimsGradient)
        {
            s.Gradient("qkv", dqkv);
        }

        s.Backend.AttentionBackward(
            dO, Q(qkv, shape), K(qkv, shape), V(qkv, shape), o, lse, cu, shape, delta,
            Q(dqkv, shape), K(dqkv, shape), V(dqkv, shape));
    }

    private static void Decode(OpScope s, int[] queries, int[] keys, int heads, int kvHeads, int d, int window)
    {
        var (n, m, shape) = (queries.Sum(), keys.Sum(), Shape(heads, kvHeads, d, window, queries, keys));
        var (q, k, v) = (s.Input("q", n, heads * d), s.Input("k", m, kvHeads * d), s.Input("v", m, kvHeads * d));
        var o = s.Output(
            "o", s.Activation, n, heads * d, new Tolerance(ToleranceClass.Attention, shape.LongestKey + d));
        var lse = s.Output("lse", s.Real, heads, n, new Tolerance(ToleranceClass.Attention, shape.LongestKey + d));
        s.Backend.Attention(q, k, v, Boundaries(s, queries), Boundaries(s, keys), shape, o, lse);
    }

    private static AttentionShape Shape(int heads, int kvHeads, int d, int window, int[] queries, int[] keys) => new(
        heads, kvHeads, d, (float)(1 / Math.Sqrt(d)), window, queries.DefaultIfEmpty().Max(),
        keys.DefaultIfEmpty().Max());

    private static TensorView Boundaries(OpScope s, int[] lengths)
    {
        var cu = new int[lengths.Length + 1];
        for (var i = 0; i < lengths.Length; i++)
        {
            cu[i + 1] = cu[i] + lengths[i];
        }

        return s.Integers(cu);
    }

    private static TensorView Q(TensorView qkv, in AttentionShape shape) =>
        qkv.ColRange(0, shape.Heads * shape.HeadDim);

    private static TensorView K(TensorView qkv, in AttentionShape shape) =>
        qkv.ColRange(shape.Heads * shape.HeadDim, shape.KvHeads * shape.HeadDim);

    private static TensorView V(TensorView qkv, in AttentionShape shape) =>
        qkv.ColRange((shape.Heads + shape.KvHeads) * shape.HeadDim, shape.KvHeads * shape.HeadDim);
}
