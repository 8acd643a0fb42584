using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private readonly Kernel _embeddingBackward = new("EmbeddingBackward.cu", "embedding_backward");

    /// <inheritdoc/>
    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable)
    {
        CheckActivation(dy, nameof(dy));
        Guard.Type(dTable, DType.F32);
        CheckIndices(ids, dy.Rows);
        Guard.Shape(dTable, dTable.Rows, dy.Cols);
        if (dy.Count > 0)
        {
            _context.Launch(
                _embeddingBackward, dy.DType, LaunchShape.Of(dy.Rows, 256),
                ids, dy, dy.Stride, dTable, dTable.Stride, dy.Rows, dy.Cols);
        }
    }
}
