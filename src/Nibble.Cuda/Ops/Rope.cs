using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private readonly Kernel _rope = new("Rope.cu", "rope");

    /// <inheritdoc/>
    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse)
    {
        CheckActivation(x);
        CheckIndices(positions, x.Rows);
        Guard.Type(table, DType.F32);
        var width = table.Cols;
        if (width == 0 || width % 2 != 0 || x.Cols % width != 0)
        {
            throw new ShapeException($"table: expected an even D that divides {x.Cols}, got {table}");
        }

        if (x.Rows == 0)
        {
            return;
        }

        var (heads, half) = (x.Cols / width, width / 2);
        var elements = 16 / x.DType.Size();
        var wide = Layout.IsWide(x) && half % elements == 0;
        _context.Launch(
            _rope, x.DType, Layout.Grid((long)x.Rows * heads * (half / (wide ? elements : 1))),
            x, x.Stride, positions, table, table.Stride, x.Rows, heads, half, inverse ? -1f : 1f, wide);
    }
}
