using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// How element-wise kernels walk a matrix: items of one or 16 bytes' worth of elements, row by row. Gapless operands collapse to
/// one long row.
/// </summary>
internal readonly struct Layout
{
    internal const int Threads = 256;

    private const int WideBytes = 16;

    private readonly bool _collapsed;

    private Layout(long rows, long cols, bool collapsed, bool wide) =>
        (Rows, Cols, _collapsed, Wide) = (rows, cols, collapsed, wide);

    /// <summary>Rows to walk.</summary>
    internal long Rows { get; }

    /// <summary>Elements of a row.</summary>
    internal long Cols { get; }

    /// <summary>Whether every access may be 16 bytes wide.</summary>
    internal bool Wide { get; }

    /// <summary>The layout of a loop over [rows, cols] of operands that all have this shape.</summary>
    internal static Layout Flat(TensorView a) => Make(a, a, a, 1, true);

    /// <summary>As above, two operands.</summary>
    internal static Layout Flat(TensorView a, TensorView b) => Make(a, b, b, 1, true);

    /// <summary>As above, three operands.</summary>
    internal static Layout Flat(TensorView a, TensorView b, TensorView c) => Make(a, b, c, 1, true);

    /// <summary>Rows kept as they are, because their index matters; columns in pieces of a divisor of <paramref name="unit"/>.</summary>
    internal static Layout ByRow(TensorView a, TensorView b, int unit) => Make(a, b, b, unit, false);

    /// <summary>A view's stride in this layout.</summary>
    internal long Stride(TensorView view) => _collapsed ? Cols : view.Stride;

    /// <summary>Threads' worth of work, and the grid for it.</summary>
    internal LaunchShape Shape(int elementBytes)
    {
        var items = Rows * (Cols / (Wide ? WideBytes / elementBytes : 1));
        return LaunchShape.Of(Math.Min((items + Threads - 1) / Threads, MaxBlocks), Threads);
    }

    /// <summary>Whether 16-byte accesses fit a view.</summary>
    internal static bool IsWide(TensorView view) =>
        view.Address % WideBytes == 0
        && (view.Rows <= 1 || (long)view.Stride * view.DType.Size() % WideBytes == 0)
        && (long)view.Cols * view.DType.Size() % WideBytes == 0;

    // Grid-stride loops: enough blocks to fill any card many times over, few enough to keep the launch cheap.
    private const int MaxBlocks = 1 << 16;

    private static Layout Make(TensorView a, TensorView b, TensorView c, int unit, bool mayCollapse)
    {
        var collapsed = mayCollapse && a.IsContiguous && b.IsContiguous && c.IsContiguous;
        var bytes = a.DType.Size();
        var elements = collapsed ? a.Count : unit == 1 ? a.Cols : unit;
        var aligned = a.Address % WideBytes == 0 && b.Address % WideBytes == 0 && c.Address % WideBytes == 0;
        var strides = collapsed
            || ((long)a.Stride * bytes % WideBytes == 0 && (long)b.Stride * bytes % WideBytes == 0
                && (long)c.Stride * bytes % WideBytes == 0);
        var wide = aligned && strides && elements * bytes % WideBytes == 0
            && a.DType == b.DType && b.DType == c.DType;
        return collapsed ? new Layout(1, a.Count, true, wide) : new Layout(a.Rows, a.Cols, false, wide);
    }
}
