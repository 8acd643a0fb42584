using Nibble.Cpu.Gemm;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false)
    {
        Guard.Type(a, DType.F32);
        Guard.Type(b, DType.F32);
        Guard.Type(c, DType.F32);
        var k = transposeA ? a.Rows : a.Cols;
        Guard.Shape(a, transposeA ? k : c.Rows, transposeA ? c.Rows : k);
        Guard.Shape(b, transposeB ? c.Cols : k, transposeB ? k : c.Cols);
        _products.Run(new Product
        {
            M = c.Rows,
            N = c.Cols,
            K = k,
            A = Floats(a),
            AStride = a.Stride,
            TransposeA = transposeA,
            B = new RowSource(b),
            TransposeB = transposeB,
            C = Floats(c),
            CStride = c.Stride,
            Alpha = alpha,
            Accumulate = accumulate,
        });
    }
}
