using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string MatMulFile = "MatMul.cu";
    private const int MatMulTile = 32;

    private readonly Kernel _matMul = new(MatMulFile, "matmul");
    private readonly Products _products;

    /// <inheritdoc/>
    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false)
    {
        CheckActivation(a, nameof(a));
        CheckActivation(b, nameof(b));
        CheckActivation(c, nameof(c));
        var (rows, depth) = transposeA ? (a.Cols, a.Rows) : (a.Rows, a.Cols);
        if (transposeB)
        {
            Guard.Shape(b, c.Cols, depth);
        }
        else
        {
            Guard.Shape(b, depth, c.Cols);
        }

        Guard.Shape(c, rows, c.Cols);
        if (c.Count == 0)
        {
            return;
        }

        Multiply(new Product(a, transposeA, b, transposeB, c, TensorView.None, alpha, accumulate));
    }

    // The kernels for thin operands and short sums, the library, and the plain kernel where neither can.
    private void Multiply(in Product product)
    {
        if (!TryThin(product) && !TryOuter(product) && (product.Depth == 0 || !_products.TryRun(product)))
        {
            MultiplyPlain(product);
        }
    }

    private void MultiplyPlain(in Product product)
    {
        var (a, b, c) = (product.A, product.B, product.C);
        var (aRow, aCol) = product.TransposeA ? (1, a.Stride) : (a.Stride, 1);
        var (bRow, bCol) = product.TransposeB ? (1, b.Stride) : (b.Stride, 1);
        var columns = Tiles(c.Cols, MatMulTile);
        for (var first = 0; first < c.Rows; first += MaxGridYz * MatMulTile)
        {
            var rows = Math.Min(c.Rows - first, MaxGridYz * MatMulTile);
            _context.Launch(
                _matMul, DType.U8, new LaunchShape((uint)columns, (uint)Tiles(rows, MatMulTile), 1, 256, 0),
                a.Address + (nint)((long)first * aRow * a.DType.Size()), (int)a.DType, aRow, aCol, b, (int)b.DType,
                bRow, bCol, c.RowRange(first, rows), (int)c.DType, c.Stride, rows, c.Cols, product.Depth,
                product.Alpha, product.Accumulate, product.Bias, (int)product.Bias.DType);
        }
    }
}
