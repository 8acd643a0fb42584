using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1, bool accumulate = false)
    {
        var k = transposeA ? a.Rows : a.Cols;
        Guard.Shape(a, transposeA ? k : c.Rows, transposeA ? c.Rows : k);
        Guard.Shape(b, transposeB ? c.Cols : k, transposeB ? k : c.Cols);
        Product(Oriented(a, !transposeA), Oriented(b, transposeB), k, c, alpha, accumulate);
    }

    // Both operands with the summed index last.
    private static void Product(double[][] a, double[][] b, int k, TensorView c, double alpha, bool accumulate)
    {
        var cs = At(c);
        for (var i = 0; i < c.Rows; i++)
        {
            for (var j = 0; j < c.Cols; j++)
            {
                var (sum, left, right) = (0.0, a[i], b[j]);
                for (var p = 0; p < k; p++)
                {
                    sum += left[p] * right[p];
                }

                cs[i, j] = accumulate ? cs[i, j] + alpha * sum : alpha * sum;
            }
        }
    }

    private static double[][] Oriented(TensorView view, bool asStored)
    {
        var rows = At(view).ToRows();
        return asStored ? rows : Transposed(rows, view.Cols);
    }

    private static double[][] Transposed(double[][] rows, int cols)
    {
        var result = new double[cols][];
        for (var j = 0; j < cols; j++)
        {
            result[j] = Array.ConvertAll(rows, row => row[j]);
        }

        return result;
    }
}
