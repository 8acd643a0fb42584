using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    // With so few query rows per sample, tiles of 64 would be almost empty: a block per row reads keys in parallel.
    private const int FewQueries = 4;

    // A group's heads are split until each multiprocessor has this many blocks of the key kernel: two run at a time,
    // and causal tiles differ in length. Measured: with four, 4 x 2048 tokens split in two took 14 % longer than whole.
    private const int KeyBlocksPerMultiprocessor = 3;

    private const string GenericAttentionFile = "AttentionGeneric.cu";
    private const int GenericWarps = 8;
    private const int MaxGridYz = 65535;
    private const float Log2E = 1.44269504088896f;

    private readonly AttentionKernels?[] _attention = new AttentionKernels?[(256 / 32) + 1];

    private readonly Kernel _attentionGenericForward = new(GenericAttentionFile, "attention_generic_forward");
    private readonly Kernel _attentionGenericQuery = new(GenericAttentionFile, "attention_generic_backward_query");
    private readonly Kernel _attentionGenericKey = new(GenericAttentionFile, "attention_generic_backward_key");

    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse)
    {
        CheckAttention(q, k, v, shape);
        CheckLike(o, q);
        CheckPerHead(lse, q, shape);
        var samples = CheckBoundaries(cuQuery);
        CheckIndices(cuKey, samples + 1);
        if (q.Rows == 0 || samples == 0 || shape.LongestQuery <= 0)
        {
            return;
        }

        var (group, window) = (shape.Heads / shape.KvHeads, Window(shape));
        if (shape.LongestQuery > FewQueries && TensorCoreAttention(q, k, v, o, shape) is { } kernels)
        {
            var tile = QueryTile(kernels, q.Rows, samples, shape);
            var kernel = tile == AttentionKernels.LongTile ? kernels.ForwardLong : kernels.ForwardShort;
            _context.Launch(
                kernel, q.DType, AttentionGrid(kernel, shape.Heads, samples, Tiles(shape.LongestQuery, tile)),
                q, q.Stride, k, k.Stride, v, v.Stride, cuQuery, cuKey, o, o.Stride, lse, lse.Stride, group,
                shape.Scale * Log2E, window);
            return;
        }

        var warps = shape.LongestKey > 32 * GenericWarps ? GenericWarps : shape.LongestKey > 64 ? 2 : 1;
        var shared = checked((((1 + warps) * shape.HeadDim) + (2 * warps)) * sizeof(float));
        _context.Launch(
            _attentionGenericForward, q.DType,
            GenericGrid(shape.LongestQuery, shape.Heads, samples, 32 * warps, shared),
            q, q.Stride, k, k.Stride, v, v.Stride, cuQuery, cuKey, o, o.Stride, lse, lse.Stride, group, shape.HeadDim,
            shape.Scale, window, IsWideHead(shape, q.DType) && Layout.IsWide(k));
    }

    /// <inheritdoc/>
    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        CheckAttention(q, k, v, shape);
        if (k.Rows != q.Rows)
        {
            throw new ShapeException($"k: expected as many rows as q has ({q.Rows}), got {k}");
        }

        CheckLike(dO, q);
        CheckLike(o, q);
        CheckLike(dq, q);
        CheckLike(dk, k);
        CheckLike(dv, k);
        CheckPerHead(lse, q, shape);
        CheckPerHead(delta, q, shape);
        var samples = CheckBoundaries(cu);
        if (q.Rows == 0 || samples == 0 || shape.LongestQuery <= 0)
        {
            return;
        }

        var (group, window) = (shape.Heads / shape.KvHeads, Window(shape));
        if (TensorCoreAttention(q, k, v, o, shape) is not { } kernels || !Layout.IsWide(dO) || !Layout.IsWide(dq)
            || !Layout.IsWide(dk) || !Layout.IsWide(dv))
        {
            GenericAttentionBackward(dO, q, k, v, o, lse, cu, samples, shape, delta, dq, dk, dv);
            return;
        }

        var scaleLog2 = shape.Scale * Log2E;
        var tile = QueryTile(kernels, q.Rows, samples, shape);
        var query = tile == AttentionKernels.LongTile ? kernels.QueryLong : kernels.QueryShort;
        // First: it also computes delta, which the key kernel reads.
        _context.Launch(
            query, q.DType, AttentionGrid(query, shape.Heads, samples, Tiles(shape.LongestQuery, tile)),
            dO, dO.Stride, q, q.Stride, k, k.Stride, v, v.Stride, o, o.Stride, lse, lse.Stride, cu, delta, delta.Stride,
            dq, dq.Stride, group, shape.Scale, scaleLog2, window);

        var tiles = Tiles(shape.LongestQuery, AttentionKernels.ShortTile);
        var keyTiles = Math.Min((long)samples * tiles, (q.Rows / AttentionKernels.ShortTile) + (long)samples);
        // The parts lie in the products' workspace, which is free between two ops of the stream.
        var parts = _products.Workspace;
        var splits = AttentionSplits(
            keyTiles * shape.KvHeads * kernels.KeyParts, group, 2L * k.Rows * k.Cols * sizeof(float), parts.Bytes,
            _context.Info.Multiprocessors);
        _context.Launch(
            kernels.Key, q.DType,
            AttentionGrid(kernels.Key, shape.KvHeads * splits * kernels.KeyParts, samples, tiles),
            dO, dO.Stride, q, q.Stride, k, k.Stride, v, v.Stride, lse, lse.Stride, cu, delta, delta.Stride,
            dk, dk.Stride, dv, dv.Stride, parts.Address, k.Rows, shape.KvHeads, group, splits,
            shape.Scale, scaleLog2, window);
        if (splits > 1)
        {
            _context.Launch(
                kernels.KeySum, q.DType, new LaunchShape((uint)k.Rows, 2, 1, AttentionKernels.Threads, 0),
                parts.Address, splits, k.Rows, k.Cols, cu, samples, dk, dk.Stride, dv, dv.Stride);
        }
    }

    /// <summary>
    /// Into how many parts a group's query heads are split, so that the card is filled: a function of shapes and card
    /// alone, because the order of summation, and with it the last bits, depends on it.
    /// </summary>
    /// <param name="blocks">Blocks without splitting, above 0.</param>
    /// <param name="group">Query heads of a key/value head.</param>
    /// <param name="partBytes">Bytes of one part, above 0.</param>
    /// <param name="availableBytes">Bytes there are for all parts.</param>
    /// <param name="multiprocessors">Of the card.</param>
    internal static int AttentionSplits(
        long blocks, int group, long partBytes, long availableBytes, int multiprocessors)
    {
        var wanted = Math.Min((((long)KeyBlocksPerMultiprocessor * multiprocessors) + blocks - 1) / blocks, group);
        var fitting = (int)Math.Max(Math.Min(wanted, availableBytes / partBytes), 1);
        // The block with the most heads decides; fewer parts that leave it as many are written and read for less.
        var heads = (group + fitting - 1) / fitting;
        return (group + heads - 1) / heads;
    }

    private void GenericAttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        int samples, in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv)
    {
        var (group, window) = (shape.Heads / shape.KvHeads, Window(shape));
        var row = checked(shape.HeadDim * sizeof(float));
        var wide = IsWideHead(shape, q.DType)
            && Layout.IsWide(q) && Layout.IsWide(k) && Layout.IsWide(v) && Layout.IsWide(dO);
        // First: it also computes delta, which the key kernel reads.
        _context.Launch(
            _attentionGenericQuery, q.DType, GenericGrid(shape.LongestQuery, shape.Heads, samples, 32, 3 * row),
            dO, dO.Stride, q, q.Stride, k, k.Stride, v, v.Stride, o, o.Stride, lse, lse.Stride, cu, delta, delta.Stride,
            dq, dq.Stride, group, shape.HeadDim, shape.Scale, window, wide);
        _context.Launch(
            _attentionGenericKey, q.DType, GenericGrid(shape.LongestQuery, shape.KvHeads, samples, 32, 4 * row),
            dO, dO.Stride, q, q.Stride, k, k.Stride, v, v.Stride, lse, lse.Stride, cu, delta, delta.Stride,
            dk, dk.Stride, dv, dv.Stride, group, shape.HeadDim, shape.Scale, window, wide);
    }

    // The kernels for these operands, or null where only the generic ones will do.
    private AttentionKernels? TensorCoreAttention(
        TensorView q, TensorView k, TensorView v, TensorView o, in AttentionShape shape)
    {
        // The online softmax takes the maximum before it scales, which is right for factors above zero only.
        if (q.DType != DType.BF16 || !AttentionKernels.Supports(shape.HeadDim) || !(shape.Scale > 0)
            || !Layout.IsWide(q) || !Layout.IsWide(k) || !Layout.IsWide(v) || !Layout.IsWide(o))
        {
            return null;
        }

        var kernels = _attention[shape.HeadDim / 32] ??= new AttentionKernels(
            shape.HeadDim, _context.Info is { Major: 9, Minor: 0 });
        return kernels.SharedBytes <= _context.SharedBytesPerBlock ? kernels : null;
    }

    // A window that reaches over every key is none; the kernels add it to indices.
    private static int Window(in AttentionShape shape) => shape.Window >= shape.LongestKey ? 0 : shape.Window;

    // Long tiles need half the shared-memory traffic, once samples fill them and every multiprocessor has two.
    private int QueryTile(AttentionKernels kernels, int rows, int samples, in AttentionShape shape) =>
        kernels.HasLongTile && rows > (long)samples * AttentionKernels.LongTile
            && shape.Heads * (long)(rows / AttentionKernels.LongTile) >= 2 * _context.Info.Multiprocessors
            ? AttentionKernels.LongTile
            : AttentionKernels.ShortTile;

    private static bool IsWideHead(in AttentionShape shape, DType type) => (long)shape.HeadDim * type.Size() % 16 == 0;

    private static int Tiles(int rows, int tile) => (rows + tile - 1) / tile;

    private static LaunchShape AttentionGrid(Kernel kernel, int heads, int samples, int tiles)
    {
        CheckGrid(samples, tiles);
        return new LaunchShape(
            (uint)heads, (uint)samples, (uint)tiles, AttentionKernels.Threads, (uint)kernel.DynamicSharedBytes);
    }

    private static LaunchShape GenericGrid(int rows, int heads, int samples, int threads, int shared)
    {
        const int limit = 48 << 10;
        if (shared > limit)
        {
            throw new ShapeException(
                $"head width: the rows of one block need {shared} bytes of shared memory, {limit} are there");
        }

        CheckGrid(heads, samples);
        return new LaunchShape((uint)rows, (uint)heads, (uint)samples, (uint)threads, (uint)shared);
    }

    private static void CheckGrid(int y, int z)
    {
        if (y > MaxGridYz || z > MaxGridYz)
        {
            throw new ShapeException(
                $"attention: expected at most {MaxGridYz} samples, heads and tiles of rows in one pass, got "
                + $"{Math.Max(y, z)}: run fewer samples at a time");
        }
    }

    private static void CheckAttention(TensorView q, TensorView k, TensorView v, in AttentionShape shape)
    {
        CheckActivation(q, nameof(q));
        if (shape.KvHeads <= 0 || shape.HeadDim <= 0 || shape.Heads <= 0 || shape.Heads % shape.KvHeads != 0
            || shape.Window < 0)
        {
            throw new ShapeException(
                "shape: expected heads as a multiple of key/value heads, a head width above 0, a window of 0 or more, "
                + $"got {shape.Heads} heads, {shape.KvHeads} key/value heads, width {shape.HeadDim}, "
                + $"window {shape.Window}");
        }

        Guard.Shape(q, q.Rows, shape.Heads * shape.HeadDim);
        Guard.Type(k, q.DType);
        Guard.Shape(k, k.Rows, shape.KvHeads * shape.HeadDim);
        CheckLike(v, k);
    }

    private static void CheckPerHead(
        TensorView view, TensorView q, in AttentionShape shape,
        [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(view))] string name = "")
    {
        Guard.Type(view, DType.F32, name);
        Guard.Shape(view, shape.Heads, q.Rows, name);
    }

    private static int CheckBoundaries(
        TensorView view, [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(view))] string name = "")
    {
        CheckIndices(view, view.Cols, name);
        if (view.Cols < 1)
        {
            throw new ShapeException($"{name}: expected I32 [1, samples + 1], got {view}");
        }

        return view.Cols - 1;
    }
}
