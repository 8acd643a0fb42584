using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private readonly Kernel _embedding = new("Embedding.cu", "embedding");

    /// <inheritdoc/>
    public void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        CheckActivation(table, nameof(table));
        CheckActivation(y, nameof(y));
        CheckIndices(ids, y.Rows);
        Guard.Shape(table, table.Rows, y.Cols);
        if (y.Count == 0)
        {
            return;
        }

        var wide = Layout.IsWide(table) && Layout.IsWide(y) && y.Cols % 8 == 0;
        _context.Launch(
            _embedding, y.DType, Layout.Grid(y.Count / (wide ? 8 : 1)),
            ids, table, table.Stride, (int)table.DType, y, y.Stride, y.Rows, y.Cols, wide);
    }
}
