using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Add(TensorView x, TensorView y)
    {
        Guard.Shape(y, x.Rows, x.Cols);
        var (xs, ys) = (At(x), At(y));
        for (var t = 0; t < x.Rows; t++)
        {
            for (var j = 0; j < x.Cols; j++)
            {
                ys[t, j] += xs[t, j];
            }
        }
    }

    /// <inheritdoc/>
    public void Convert(TensorView x, TensorView y, float scale = 1)
    {
        Guard.Shape(y, x.Rows, x.Cols);
        var (xs, ys) = (At(x), At(y));
        for (var t = 0; t < x.Rows; t++)
        {
            for (var j = 0; j < x.Cols; j++)
            {
                ys[t, j] = scale * xs[t, j];
            }
        }
    }

    /// <inheritdoc/>
    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset, bool accumulate = false)
    {
        Guard.Shape(y, x.Rows, x.Cols);
        var (xs, ys) = (At(x), At(y));
        for (var t = 0; t < x.Rows; t++)
        {
            for (var j = 0; j < x.Cols; j++)
            {
                var i = (ulong)((rowOffset + t) * x.Cols + j);
                var words = Philox.Words(key, i / 4, stream);
                var word = (i % 4) switch { 0 => words.X, 1 => words.Y, 2 => words.Z, _ => words.W };
                var value = Philox.Uniform(word) >= probability ? xs[t, j] / (1 - probability) : 0;
                ys[t, j] = accumulate ? ys[t, j] + value : value;
            }
        }
    }
}
