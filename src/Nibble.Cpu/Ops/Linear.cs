using Nibble.Cpu.Gemm;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Guard.Type(x, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Shape(x, y.Rows, weight.In);
        Guard.Shape(y, x.Rows, weight.Out);
        if (!weight.Bias.IsNone)
        {
            Guard.Type(weight.Bias, DType.F32);
            Guard.Shape(weight.Bias, 1, weight.Out);
        }

        _products.Run(new Product
        {
            M = x.Rows,
            N = weight.Out,
            K = weight.In,
            A = Floats(x),
            AStride = x.Stride,
            B = new RowSource(weight),
            TransposeB = true,
            C = Floats(y),
            CStride = y.Stride,
            Alpha = 1,
            Bias = Floats(weight.Bias),
        });
    }

    /// <inheritdoc/>
    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Guard.Type(dy, DType.F32);
        Guard.Type(dx, DType.F32);
        Guard.Shape(dy, dx.Rows, weight.Out);
        Guard.Shape(dx, dy.Rows, weight.In);
        _products.Run(new Product
        {
            M = dy.Rows,
            N = weight.In,
            K = weight.Out,
            A = Floats(dy),
            AStride = dy.Stride,
            B = new RowSource(weight),
            C = Floats(dx),
            CStride = dx.Stride,
            Alpha = 1,
            Accumulate = accumulate,
        });
    }
}
