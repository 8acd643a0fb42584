using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// How element-wise kernels walk operands of one shape: items of one element or of 16 bytes, row by row; gapless
/// operands as one long row.
/// </summary>
internal readonly struct Layout
{
    internal const int Threads = 256;

    private const int WideBytes = 16;

    // Kernels loop over what a grid leaves: enough blocks to fill any card many times over, few enough to start
    // quickly.
    private const int MaxBlocks = 1 << 16;

    private readonly bool _collapsed;

    /// <summary>The layout of a loop over two operands of one shape.</summary>
    internal Layout(TensorView a, TensorView b)
    {
        _collapsed = a.IsContiguous && b.IsContiguous;
        (Rows, Cols) = _collapsed ? (1, a.Count) : (a.Rows, a.Cols);
        Wide = IsWide(a) && IsWide(b);
    }

    /// <summary>Rows to walk.</summary>
    internal long Rows { get; }

    /// <summary>Elements of a row.</summary>
    internal long Cols { get; }

    /// <summary>Whether every access may be 16 bytes wide.</summary>
    internal bool Wide { get; }

    /// <summary>A view's stride in this layout.</summary>
    internal long Stride(TensorView view) => _collapsed ? Cols : view.Stride;

    /// <summary>Whether rows are whole 16-byte pieces at multiples of 16.</summary>
    internal static bool IsWide(TensorView view) =>
        view.Address % WideBytes == 0
        && (view.Rows <= 1 || (long)view.Stride * view.DType.Size() % WideBytes == 0)
        && (long)view.Cols * view.DType.Size() % WideBytes == 0;

    /// <summary>The grid of a loop over this layout.</summary>
    internal LaunchShape Grid(int elementBytes) => Grid(Rows * Cols / (Wide ? WideBytes / elementBytes : 1));

    /// <summary>The grid of a loop over a view.</summary>
    internal static LaunchShape Grid(TensorView view, bool wide) =>
        Grid(view.Count / (wide ? WideBytes / view.DType.Size() : 1));

    /// <summary>The grid of a loop over that many items.</summary>
    internal static LaunchShape Grid(long items) =>
        LaunchShape.Of(Math.Min((items + Threads - 1) / Threads, MaxBlocks), Threads);
}
