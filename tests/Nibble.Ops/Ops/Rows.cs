using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void GatherRows(TensorView x, TensorView index, TensorView y)
    {
        Guard.Shape(y, index.Cols, x.Cols);
        var (xs, at, ys) = (At(x), At(index), At(y));
        for (var i = 0; i < y.Rows; i++)
        {
            for (var j = 0; j < x.Cols; j++)
            {
                ys[i, j] = xs[at.Int(i), j];
            }
        }
    }

    /// <inheritdoc/>
    public void ScatterRows(TensorView x, TensorView index, TensorView y)
    {
        Guard.Shape(x, index.Cols, y.Cols);
        var (xs, at, ys) = (At(x), At(index), At(y));
        for (var i = 0; i < x.Rows; i++)
        {
            for (var j = 0; j < x.Cols; j++)
            {
                ys[at.Int(i), j] = xs[i, j];
            }
        }
    }
}
