using System.Runtime.CompilerServices;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private static void CheckActivation(TensorView view, string name = "x")
    {
        if (view.DType is not (DType.BF16 or DType.F32))
        {
            throw new ShapeException($"{name}: expected BF16 or F32, got {view}");
        }
    }

    private static void CheckLike(
        TensorView view, TensorView other, [CallerArgumentExpression(nameof(view))] string name = "")
    {
        Guard.Type(view, other.DType, name);
        Guard.Shape(view, other.Rows, other.Cols, name);
    }

    private static void CheckIndices(
        TensorView view, int count, [CallerArgumentExpression(nameof(view))] string name = "")
    {
        Guard.Type(view, DType.I32, name);
        Guard.Shape(view, 1, count, name);
    }
}
