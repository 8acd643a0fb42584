using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private readonly Kernel _columnSum = new("ColumnSum.cu", "column_sum");

    /// <inheritdoc/>
    public void ColumnSum(TensorView x, TensorView y)
    {
        CheckActivation(x);
        Guard.Type(y, DType.F32);
        Guard.Shape(y, 1, x.Cols);
        if (x.Count > 0)
        {
            _context.Launch(
                _columnSum, x.DType, LaunchShape.Of((x.Cols + 31) / 32, 256), x, x.Stride, y, x.Rows, x.Cols);
        }
    }
}
