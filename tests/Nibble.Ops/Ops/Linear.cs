using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Guard.Shape(x, y.Rows, weight.In);
        Guard.Shape(y, x.Rows, weight.Out);
        Product(At(x).ToRows(), Numbers(weight), weight.In, y, 1, false);
        if (!weight.Bias.IsNone)
        {
            Guard.Shape(weight.Bias, 1, weight.Out);
            var (ys, bias) = (At(y), At(weight.Bias));
            for (var t = 0; t < y.Rows; t++)
            {
                for (var j = 0; j < y.Cols; j++)
                {
                    ys[t, j] += bias[j];
                }
            }
        }
    }

    /// <inheritdoc/>
    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        ArgumentNullException.ThrowIfNull(weight);
        Guard.Shape(dy, dx.Rows, weight.Out);
        Guard.Shape(dx, dy.Rows, weight.In);
        Product(At(dy).ToRows(), Transposed(Numbers(weight), weight.In), weight.Out, dx, 1, accumulate);
    }

    // W as the multiplication sees it: dense numbers, or 4-bit codes dequantised and rounded once to the activation type.
    private double[][] Numbers(FrozenLinear weight)
    {
        if (weight.Quantized.Length == 0)
        {
            return At(weight.Dense).ToRows();
        }

        var rows = new List<double[]>(weight.Out);
        foreach (var part in weight.Quantized)
        {
            var values = Dequantized(part);
            for (var i = 0; i < part.Rows; i++)
            {
                rows.Add(Array.ConvertAll(values[(i * part.Cols)..((i + 1) * part.Cols)], v => Round(v)));
            }
        }

        return [.. rows];
    }
}
