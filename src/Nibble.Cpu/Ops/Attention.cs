using System.Runtime.CompilerServices;
using Nibble.Cpu.Simd;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse)
    {
        CheckAttention(q, k, v, cuQuery, shape);
        Guard.Type(cuKey, DType.I32);
        Guard.Shape(cuKey, 1, cuQuery.Cols);
        Guard.Type(o, DType.F32);
        Guard.Shape(o, q.Rows, q.Cols);
        Guard.Type(lse, DType.F32);
        Guard.Shape(lse, shape.Heads, q.Rows);
        var samples = cuQuery.Cols - 1;
        var blocks = (shape.LongestQuery + AttentionBlock.Width - 1) / AttentionBlock.Width;
        _team.Run(
            new AttentionJob
            {
                Backend = this,
                Q = q,
                K = k,
                V = v,
                CuQuery = (int*)cuQuery.Address,
                CuKey = (int*)cuKey.Address,
                Shape = shape,
                O = o,
                Lse = lse,
                Samples = samples,
                Blocks = blocks,
            },
            samples * shape.Heads * blocks);
    }

    private static float* Row(TensorView view, int row, int col) => Floats(view) + (nint)row * view.Stride + col;

    private static void CheckAttention(TensorView q, TensorView k, TensorView v, TensorView cu, in AttentionShape shape)
    {
        Guard.Type(q, DType.F32);
        Guard.Type(k, DType.F32);
        Guard.Type(v, DType.F32);
        Guard.Type(cu, DType.I32);
        if (shape.KvHeads < 1 || shape.Heads % shape.KvHeads != 0
            || shape.HeadDim is < 1 or > AttentionBlock.MaxHeadDim)
        {
            throw new ShapeException(
                $"attention: "
                + $"expected heads a multiple of key/value heads and a head width of 1 … {AttentionBlock.MaxHeadDim}, "
                + $"got {shape.Heads} heads, {shape.KvHeads} key/value heads of width {shape.HeadDim}");
        }

        Guard.Shape(q, q.Rows, shape.Heads * shape.HeadDim);
        Guard.Shape(k, k.Rows, shape.KvHeads * shape.HeadDim);
        Guard.Shape(v, k.Rows, shape.KvHeads * shape.HeadDim);
        Guard.Shape(cu, 1, Math.Max(cu.Cols, 1));
    }

    /// <summary>
    /// A unit is a block of queries of one head of one sample. Scores lie transposed, [key, query], so that maxima,
    /// sums and exponentials run across queries in vector lanes, and so that they are the A operand of p v as they are.
    /// </summary>
    private struct AttentionJob : IJob
    {
        public CpuBackend Backend;
        public TensorView Q;
        public TensorView K;
        public TensorView V;
        public int* CuQuery;
        public int* CuKey;
        public AttentionShape Shape;
        public TensorView O;
        public TensorView Lse;
        public int Samples;
        public int Blocks;

        public readonly void Run(int unit, int worker)
        {
            // Late blocks see the most keys: they go first, so that no long unit is left for the end.
            var block = Blocks - 1 - unit / (Samples * Shape.Heads);
            var (sample, head) = (unit % (Samples * Shape.Heads) / Shape.Heads, unit % Shape.Heads);
            var (q0, n) = (CuQuery[sample], CuQuery[sample + 1] - CuQuery[sample]);
            var (k0, m) = (CuKey[sample], CuKey[sample + 1] - CuKey[sample]);
            var first = block * AttentionBlock.Width;
            if (first >= n)
            {
                return;
            }

            var queries = Math.Min(AttentionBlock.Width, n - first);
            var e = Backend._products;
            var b = new AttentionBlock(e, e.Scratch(worker), Shape.HeadDim);
            var kvColumn = head / (Shape.Heads / Shape.KvHeads) * Shape.HeadDim;
            var visible = new VisibleKeys(m - n, Shape.Window);
            var rowMax = b.PerQuery;
            var rowSum = b.PerQuery + AttentionBlock.Width;
            var output = b.Output(0);
            new Span<float>(rowMax, AttentionBlock.Width).Fill(AttentionBlock.Hidden);
            new Span<float>(rowSum, AttentionBlock.Width).Clear();
            new Span<float>(output, AttentionBlock.Width * b.Pitch).Clear();
            b.Pack(Row(Q, q0 + first, head * Shape.HeadDim), Q.Stride, queries, b.Columns(0));
            var end = Math.Min(m, visible.End(first + queries - 1));
            for (var key = visible.First(first); key < end; key += AttentionBlock.Width)
            {
                var keys = Math.Min(AttentionBlock.Width, end - key);
                var view = new KeysByQueries(visible, key, first);
                b.Multiply(
                    Row(K, k0 + key, kvColumn), K.Stride, keys, b.Columns(0), queries, Shape.Scale, b.Scores, view);
                AttentionBlock.Mask(b.Scores, keys, queries, AttentionBlock.Hidden, view);
                Backend._rows.SoftmaxBlock(b.Scores, keys, rowMax, rowSum, output, b.Pitch, queries, Shape.HeadDim);
                b.AddProduct(b.Scores, Row(V, k0 + key, kvColumn), V.Stride, keys, queries, output, view);
            }

            for (var i = 0; i < queries; i++)
            {
                var o = Row(O, q0 + first + i, head * Shape.HeadDim);
                var isBlind = rowMax[i] <= AttentionBlock.Hidden;
                var factor = isBlind ? 0 : 1 / rowSum[i];
                for (var d = 0; d < Shape.HeadDim; d++)
                {
                    o[d] = output[i * b.Pitch + d] * factor;
                }

                Floats(Lse)[(nint)head * Lse.Stride + q0 + first + i] =
                    isBlind ? float.NegativeInfinity : rowMax[i] + MathF.Log(rowSum[i]);
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>
    /// One block of the online softmax: raises the maxima, rescales sums and outputs to them, and replaces scores by
    /// e^(score - maximum).
    /// </summary>
    /// <param name="scores">[keys, <see cref="AttentionBlock.Width"/>].</param>
    /// <param name="keys">Rows.</param>
    /// <param name="rowMax">Maxima by query.</param>
    /// <param name="rowSum">Sums by query.</param>
    /// <param name="output">[queries, pitch].</param>
    /// <param name="pitch">Floats between output rows.</param>
    /// <param name="queries">Queries.</param>
    /// <param name="d">Head width.</param>
    public abstract void SoftmaxBlock(
        float* scores, int keys, float* rowMax, float* rowSum, float* output, int pitch, int queries, int d);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SoftmaxBlock(
        float* scores, int keys, float* rowMax, float* rowSum, float* output, int pitch, int queries, int d)
    {
        float* corrections = stackalloc float[AttentionBlock.Width];
        for (var i = 0; i < queries; i += TLanes.Count)
        {
            var old = TLanes.Load(rowMax + i);
            var max = old;
            var s = scores + i;
            for (var j = 0; j < keys; j++, s += AttentionBlock.Width)
            {
                max = TLanes.Max(max, TLanes.Load(s));
            }

            var sum = TLanes.Create(0);
            s = scores + i;
            for (var j = 0; j < keys; j++, s += AttentionBlock.Width)
            {
                var p = Elementary.Exp<TLanes, TVector>(TLanes.Subtract(TLanes.Load(s), max));
                sum = TLanes.Add(sum, p);
                TLanes.Store(p, s);
            }

            var correction = Elementary.Exp<TLanes, TVector>(TLanes.Subtract(old, max));
            TLanes.Store(correction, corrections + i);
            TLanes.Store(max, rowMax + i);
            TLanes.Store(TLanes.Fma(TLanes.Load(rowSum + i), correction, sum), rowSum + i);
        }

        for (var i = 0; i < queries; i++)
        {
            if (corrections[i] != 1)
            {
                Scale(output + i * pitch, corrections[i], d);
            }
        }
    }
}
