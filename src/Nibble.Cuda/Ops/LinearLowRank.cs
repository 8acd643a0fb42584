using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public void LinearLowRank(TensorView x, FrozenLinear weight, TensorView u, TensorView b, TensorView y)
    {
        CheckLinear(x, weight, y);
        CheckLowRank(x, u, b);
        Guard.Shape(b, weight.Out, u.Cols);
        var (inputs, factors) = (Beside(x, u), Beside(weight.Dense, b));
        if (inputs.IsNone || factors.IsNone)
        {
            Linear(x, weight, y);
            MatMul(u, false, b, true, y, accumulate: true);
        }
        else if (y.Count > 0)
        {
            Multiply(new Product(inputs, false, factors, true, y, weight.Bias, 1, false));
        }
    }

    /// <inheritdoc/>
    public void LinearLowRankBackward(TensorView dy, FrozenLinear weight, TensorView du, TensorView a, TensorView dx)
    {
        CheckLinearBackward(dy, weight, dx);
        CheckLowRank(dy, du, a);
        Guard.Shape(a, du.Cols, weight.In);
        var (gradients, factors) = (Beside(dy, du), Below(weight.Dense, a));
        if (gradients.IsNone || factors.IsNone)
        {
            LinearBackward(dy, weight, dx, accumulate: false);
            MatMul(du, false, a, false, dx, accumulate: true);
        }
        else if (dx.Count > 0)
        {
            Multiply(new Product(gradients, false, factors, false, dx, TensorView.None, 1, false));
        }
    }

    private static void CheckLowRank(TensorView input, TensorView thin, TensorView factor)
    {
        Guard.Type(thin, input.DType);
        Guard.Shape(thin, input.Rows, thin.Cols);
        Guard.Type(factor, input.DType);
    }

    // Both as one matrix when the second starts where the first's columns end, in rows of one stride; else none.
    private static TensorView Beside(TensorView first, TensorView second) =>
        !first.IsNone && first.DType == second.DType && first.Stride == second.Stride
        && first.Stride >= first.Cols + second.Cols
        && second.Address == first.Address + ((nint)first.Cols * first.DType.Size())
            ? new TensorView(first.Address, first.DType, first.Rows, first.Cols + second.Cols, first.Stride)
            : TensorView.None;

    // Both as one matrix when the second's rows follow the first's.
    private static TensorView Below(TensorView first, TensorView second) =>
        !first.IsNone && first.DType == second.DType && first.Stride == second.Stride
        && second.Address == first.Address + ((nint)first.Rows * first.Stride * first.DType.Size())
            ? new TensorView(first.Address, first.DType, first.Rows + second.Rows, first.Cols, first.Stride)
            : TensorView.None;
}
