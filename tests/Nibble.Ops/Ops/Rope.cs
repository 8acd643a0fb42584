using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse)
    {
        var d = table.Cols;
        var half = d / 2;
        Guard.Shape(positions, 1, x.Rows);
        if (d % 2 != 0 || x.Cols % d != 0)
        {
            throw new ShapeException($"expected an even head width that divides {x.Cols} columns, got {table}");
        }

        var (xs, at, angles) = (At(x), At(positions), At(table));
        for (var t = 0; t < x.Rows; t++)
        {
            for (var head = 0; head < x.Cols; head += d)
            {
                for (var j = 0; j < half; j++)
                {
                    var (cos, sin) = (angles[at.Int(t), j], angles[at.Int(t), half + j] * (inverse ? -1 : 1));
                    var (a, b) = (xs[t, head + j], xs[t, head + half + j]);
                    xs[t, head + j] = a * cos - b * sin;
                    xs[t, head + half + j] = b * cos + a * sin;
                }
            }
        }
    }
}
