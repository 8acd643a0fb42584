using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string MatMulFile = "MatMul.cu";
    private const int MatMulTile = 32;

    private readonly Kernel _matMul = new(MatMulFile, "matmul");
    private readonly Kernel _fillRows = new(MatMulFile, "fill_rows");
    private readonly Kernel _splitBias = new(MatMulFile, "split_bias");
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

        var product = new Product(a, transposeA, b, transposeB, c, TensorView.None, alpha, accumulate);
        if (!TryOuter(product))
        {
            Multiply(product);
        }
    }

    // The library where it can, the plain kernel where it cannot.
    private void Multiply(in Product product)
    {
        if (product.Depth == 0 || !_products.TryRun(product))
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

    // y = x Wᵀ + b: the library adds a bias of the output's type; one of F32 to a BF16 output goes in as two BF16
    // parts.
    private void MultiplyWithBias(TensorView x, TensorView weight, TensorView bias, TensorView y)
    {
        var product = new Product(x, false, weight, true, y, bias, 1, false);
        if (bias.IsNone || (bias.DType == y.DType && bias.Address % 16 == 0))
        {
            Multiply(product);
        }
        else if (bias.DType == y.DType)
        {
            _context.Launch(
                _fillRows, DType.U8, Layout.Grid(y.Count), bias, (int)bias.DType, y, (int)y.DType, y.Stride, y.Rows,
                y.Cols);
            Multiply(product with { Bias = TensorView.None, Accumulate = true });
        }
        else if ((bias.DType, y.DType) is (DType.F32, DType.BF16) && bias.Cols <= DeviceTables.BiasCapacity)
        {
            var high = new TensorView(_tables.BiasHigh, DType.BF16, 1, bias.Cols);
            _context.Launch(
                _splitBias, DType.U8, Layout.Grid(y.Count), bias, high, y, y.Stride, y.Rows, y.Cols);
            Multiply(product with { Bias = high, Accumulate = true });
        }
        else
        {
            MultiplyPlain(product);
        }
    }
}
