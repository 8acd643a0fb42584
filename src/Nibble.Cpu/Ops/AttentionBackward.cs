using System.Runtime.CompilerServices;
using Nibble.Cpu.Simd;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        CheckAttention(q, k, v, cu, shape);
        Guard.Type(dO, DType.F32);
        Guard.Type(o, DType.F32);
        Guard.Type(lse, DType.F32);
        Guard.Type(delta, DType.F32);
        Guard.Type(dq, DType.F32);
        Guard.Type(dk, DType.F32);
        Guard.Type(dv, DType.F32);
        Guard.Shape(dO, q.Rows, q.Cols);
        Guard.Shape(o, q.Rows, q.Cols);
        Guard.Shape(lse, shape.Heads, q.Rows);
        Guard.Shape(delta, shape.Heads, q.Rows);
        Guard.Shape(dq, q.Rows, q.Cols);
        Guard.Shape(dk, q.Rows, k.Cols);
        Guard.Shape(dv, q.Rows, k.Cols);
        var samples = cu.Cols - 1;
        var blocks = (shape.LongestQuery + AttentionBlock.Width - 1) / AttentionBlock.Width;
        var job = new AttentionBackwardJob
        {
            Backend = this,
            DO = dO,
            Q = q,
            K = k,
            V = v,
            O = o,
            Lse = lse,
            Cu = (int*)cu.Address,
            Shape = shape,
            Delta = delta,
            Dq = dq,
            Dk = dk,
            Dv = dv,
            Samples = samples,
            Blocks = blocks,
        };
        _team.Run(new AttentionDeltaJob { Rows = _rows, Job = job }, q.Rows);
        _team.Run(job, samples * blocks * (shape.Heads + shape.KvHeads));
    }

    private struct AttentionDeltaJob : IJob
    {
        public RowKernels Rows;
        public AttentionBackwardJob Job;

        public readonly void Run(int unit, int worker)
        {
            for (var head = 0; head < Job.Shape.Heads; head++)
            {
                var d = Job.Shape.HeadDim;
                *Row(Job.Delta, head, unit) = Rows.Dot(Row(Job.DO, unit, head * d), Row(Job.O, unit, head * d), d);
            }
        }
    }

    /// <summary>
    /// Two kinds of units, so that each output has one writer and no sum is split: a block of keys with
    /// every query block that sees it gives dk and dv; a block of queries with every key block it sees
    /// gives dq. Scores are computed in both.
    /// </summary>
    private struct AttentionBackwardJob : IJob
    {
        public CpuBackend Backend;
        public TensorView DO;
        public TensorView Q;
        public TensorView K;
        public TensorView V;
        public TensorView O;
        public TensorView Lse;
        public int* Cu;
        public AttentionShape Shape;
        public TensorView Delta;
        public TensorView Dq;
        public TensorView Dk;
        public TensorView Dv;
        public int Samples;
        public int Blocks;

        public readonly void Run(int unit, int worker)
        {
            var e = Backend._products;
            var b = new AttentionBlock(e, e.Scratch(worker), Shape.HeadDim);

            // Key units are longer, early blocks of keys the longest; then late blocks of queries.
            var keyUnits = Samples * Shape.KvHeads * Blocks;
            if (unit < keyUnits)
            {
                var rest = unit % (Samples * Shape.KvHeads);
                KeyBlock(b, unit / (Samples * Shape.KvHeads), rest / Shape.KvHeads, rest % Shape.KvHeads);
            }
            else
            {
                unit -= keyUnits;
                var rest = unit % (Samples * Shape.Heads);
                QueryBlock(b, Blocks - 1 - unit / (Samples * Shape.Heads), rest / Shape.Heads, rest % Shape.Heads);
            }
        }

        // Scores lie [query, key]: one log-sum-exp and one δ a row, and they are the A operand of pᵀ dO and dsᵀ q.
        private readonly void KeyBlock(AttentionBlock b, int block, int sample, int kvHead)
        {
            var (start, n, firstKey) = (Cu[sample], Cu[sample + 1] - Cu[sample], block * AttentionBlock.Width);
            if (firstKey >= n)
            {
                return;
            }

            var (d, group, rows) = (Shape.HeadDim, Shape.Heads / Shape.KvHeads, Backend._rows);
            var keys = Math.Min(AttentionBlock.Width, n - firstKey);
            var dk = b.Output(0);
            var dv = b.Output(1);
            new Span<float>(dk, AttentionBlock.Width * b.Pitch).Clear();
            new Span<float>(dv, AttentionBlock.Width * b.Pitch).Clear();
            b.Pack(Row(K, start + firstKey, kvHead * d), K.Stride, keys, b.Columns(0));
            b.Pack(Row(V, start + firstKey, kvHead * d), V.Stride, keys, b.Columns(1));
            var visible = new VisibleKeys(0, Shape.Window);
            var end = Math.Min(n, visible.EndQuery(firstKey + keys - 1));
            for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
            {
                for (var first = firstKey; first < end; first += AttentionBlock.Width)
                {
                    var queries = Math.Min(AttentionBlock.Width, end - first);
                    var view = new QueriesByKeys(visible, first, firstKey);
                    var q = Row(Q, start + first, head * d);
                    var dO = Row(DO, start + first, head * d);
                    b.Multiply(q, Q.Stride, queries, b.Columns(0), keys, Shape.Scale, b.Scores, view);
                    AttentionBlock.Mask(b.Scores, queries, keys, AttentionBlock.Hidden, view);
                    b.Multiply(dO, DO.Stride, queries, b.Columns(1), keys, 1, b.Slopes, view);
                    AttentionBlock.Mask(b.Slopes, queries, keys, 0, view);
                    for (var i = 0; i < queries; i++)
                    {
                        var at = i * AttentionBlock.Width;
                        rows.AttentionSlopes(
                            b.Scores + at, b.Slopes + at, *Row(Lse, head, start + first + i),
                            *Row(Delta, head, start + first + i), Shape.Scale, AttentionBlock.Width);
                    }

                    b.AddProduct(b.Scores, dO, DO.Stride, queries, keys, dv, view);
                    b.AddProduct(b.Slopes, q, Q.Stride, queries, keys, dk, view);
                }
            }

            CopyOut(dk, b.Pitch, keys, Row(Dk, start + firstKey, kvHead * d), Dk.Stride);
            CopyOut(dv, b.Pitch, keys, Row(Dv, start + firstKey, kvHead * d), Dv.Stride);
        }

        // Scores lie [key, query], as in the forward pass.
        private readonly void QueryBlock(AttentionBlock b, int block, int sample, int head)
        {
            var (start, n, first) = (Cu[sample], Cu[sample + 1] - Cu[sample], block * AttentionBlock.Width);
            if (first >= n)
            {
                return;
            }

            var d = Shape.HeadDim;
            var kvColumn = head / (Shape.Heads / Shape.KvHeads) * d;
            var queries = Math.Min(AttentionBlock.Width, n - first);
            var dq = b.Output(0);
            new Span<float>(dq, AttentionBlock.Width * b.Pitch).Clear();
            b.Pack(Row(Q, start + first, head * d), Q.Stride, queries, b.Columns(0));
            b.Pack(Row(DO, start + first, head * d), DO.Stride, queries, b.Columns(1));
            var lse = b.PerQuery;
            var delta = b.PerQuery + AttentionBlock.Width;
            new Span<float>(b.PerQuery, 2 * AttentionBlock.Width).Clear();
            new ReadOnlySpan<float>(Row(Lse, head, start + first), queries).CopyTo(new Span<float>(lse, queries));
            new ReadOnlySpan<float>(Row(Delta, head, start + first), queries).CopyTo(new Span<float>(delta, queries));
            var visible = new VisibleKeys(0, Shape.Window);
            var end = visible.End(first + queries - 1);
            for (var key = visible.First(first); key < end; key += AttentionBlock.Width)
            {
                var keys = Math.Min(AttentionBlock.Width, end - key);
                var view = new KeysByQueries(visible, key, first);
                var k = Row(K, start + key, kvColumn);
                b.Multiply(k, K.Stride, keys, b.Columns(0), queries, Shape.Scale, b.Scores, view);
                AttentionBlock.Mask(b.Scores, keys, queries, AttentionBlock.Hidden, view);
                b.Multiply(Row(V, start + key, kvColumn), V.Stride, keys, b.Columns(1), queries, 1, b.Slopes, view);
                AttentionBlock.Mask(b.Slopes, keys, queries, 0, view);
                Backend._rows.AttentionSlopesByQuery(b.Scores, b.Slopes, lse, delta, Shape.Scale, keys, queries);
                b.AddProduct(b.Slopes, k, K.Stride, keys, queries, dq, view);
            }

            CopyOut(dq, b.Pitch, queries, Row(Dq, start + first, head * d), Dq.Stride);
        }

        private readonly void CopyOut(float* from, int pitch, int count, float* to, nint stride)
        {
            for (var i = 0; i < count; i++)
            {
                new ReadOnlySpan<float>(from + i * pitch, Shape.HeadDim).CopyTo(
                    new Span<float>(to + i * stride, Shape.HeadDim));
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>Σ a · b.</summary>
    public abstract float Dot(float* a, float* b, int count);

    /// <summary>A row of one query: scores become p = e^(score - lse), dp becomes ds = scale · p · (dp - δ).</summary>
    /// <param name="scores">Whole vectors.</param>
    /// <param name="slopes">Whole vectors.</param>
    /// <param name="lse">Log-sum-exp of the query.</param>
    /// <param name="delta">δ of the query.</param>
    /// <param name="scale">Factor of the scores.</param>
    /// <param name="count">A multiple of every vector's width.</param>
    public abstract void AttentionSlopes(float* scores, float* slopes, float lse, float delta, float scale, int count);

    /// <summary>The same for [keys, <see cref="AttentionBlock.Width"/>] with one query
    /// a column; p is not kept.</summary>
    /// <param name="scores">Scores.</param>
    /// <param name="slopes">dp, becomes ds.</param>
    /// <param name="lse">By query.</param>
    /// <param name="delta">By query.</param>
    /// <param name="scale">Factor of the scores.</param>
    /// <param name="keys">Rows.</param>
    /// <param name="queries">Columns in use.</param>
    public abstract void AttentionSlopesByQuery(
        float* scores, float* slopes, float* lse, float* delta, float scale, int keys, int queries);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float Dot(float* a, float* b, int count)
    {
        var (sum, tail, i) = (TLanes.Create(0), 0f, 0);
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            sum = TLanes.Fma(TLanes.Load(a + i), TLanes.Load(b + i), sum);
        }

        for (; i < count; i++)
        {
            tail += a[i] * b[i];
        }

        return TLanes.Sum(sum) + tail;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AttentionSlopes(
        float* scores, float* slopes, float lse, float delta, float scale, int count)
    {
        var (lses, deltas, scales) = (TLanes.Create(lse), TLanes.Create(delta), TLanes.Create(scale));
        for (var i = 0; i < count; i += TLanes.Count)
        {
            var p = Elementary.Exp<TLanes, TVector>(TLanes.Subtract(TLanes.Load(scores + i), lses));
            TLanes.Store(p, scores + i);
            var ds = TLanes.Multiply(p, TLanes.Subtract(TLanes.Load(slopes + i), deltas));
            TLanes.Store(TLanes.Multiply(ds, scales), slopes + i);
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AttentionSlopesByQuery(
        float* scores, float* slopes, float* lse, float* delta, float scale, int keys, int queries)
    {
        var scales = TLanes.Create(scale);
        for (var i = 0; i < queries; i += TLanes.Count)
        {
            var (lses, deltas) = (TLanes.Load(lse + i), TLanes.Load(delta + i));
            var at = i;
            for (var j = 0; j < keys; j++, at += AttentionBlock.Width)
            {
                var p = Elementary.Exp<TLanes, TVector>(TLanes.Subtract(TLanes.Load(scores + at), lses));
                var ds = TLanes.Multiply(p, TLanes.Subtract(TLanes.Load(slopes + at), deltas));
                TLanes.Store(TLanes.Multiply(ds, scales), slopes + at);
            }
        }
    }
}
