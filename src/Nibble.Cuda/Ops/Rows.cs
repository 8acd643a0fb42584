using System.Numerics;
using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string RowsFile = "Rows.cu";

    private readonly Kernel _gatherRows = new(RowsFile, "gather_rows");
    private readonly Kernel _scatterRows = new(RowsFile, "scatter_rows");
    private readonly Kernel _copyRows = new(RowsFile, "copy_rows");

    /// <inheritdoc/>
    public void GatherRows(TensorView x, TensorView index, TensorView y)
    {
        CheckIndices(index, y.Rows);
        CheckRows(x, y);
        if (y.Count == 0)
        {
            return;
        }

        var unit = UnitBytes(x, y);
        var (from, to) = (Units(x.Stride, x, unit), Units(y.Stride, y, unit));
        var units = Units(x.Cols, x, unit);
        _context.Launch(_gatherRows, DType.U8, Layout.Grid(y.Rows * units), x, from, index, y, to, y.Rows, units, unit);
    }

    /// <inheritdoc/>
    public void ScatterRows(TensorView x, TensorView index, TensorView y)
    {
        CheckIndices(index, x.Rows);
        CheckRows(x, y);
        if (x.Count == 0)
        {
            return;
        }

        var unit = UnitBytes(x, y);
        var (from, to) = (Units(x.Stride, x, unit), Units(y.Stride, y, unit));
        var units = Units(x.Cols, x, unit);
        _context.Launch(
            _scatterRows, DType.U8, Layout.Grid(x.Rows * units), x, from, index, y, to, x.Rows, units, unit);
    }

    private void CopyRows(TensorView x, TensorView y)
    {
        var unit = UnitBytes(x, y);
        var (from, to) = (Units(x.Stride, x, unit), Units(y.Stride, y, unit));
        var units = Units(x.Cols, x, unit);
        _context.Launch(_copyRows, DType.U8, Layout.Grid(x.Rows * units), x, from, y, to, x.Rows, units, unit);
    }

    private static void CheckRows(TensorView x, TensorView y)
    {
        Guard.Type(y, x.DType);
        Guard.Shape(y, y.Rows, x.Cols);
    }

    private static long Units(long elements, TensorView view, int unit) => elements * view.DType.Size() / unit;

    // The largest power of two up to 16 that divides addresses, row pitches and row lengths.
    private static int UnitBytes(TensorView x, TensorView y)
    {
        var size = x.DType.Size();
        var bits = (ulong)x.Address | (ulong)y.Address | (ulong)((long)x.Cols * size) | 16;
        bits |= x.Rows > 1 ? (ulong)((long)x.Stride * size) : 0;
        bits |= y.Rows > 1 ? (ulong)((long)y.Stride * size) : 0;
        return 1 << BitOperations.TrailingZeroCount(bits);
    }
}
