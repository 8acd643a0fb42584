using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        var d = weight.Cols;
        Guard.Shape(weight, 1, d);
        Guard.Shape(y, x.Rows, x.Cols);
        Guard.Shape(rstd, x.Rows, x.Cols / d);
        var (xs, w, ys, rs) = (At(x), At(weight), At(y), At(rstd));
        for (var t = 0; t < x.Rows; t++)
        {
            for (var g = 0; g < x.Cols / d; g++)
            {
                var sum = 0.0;
                for (var j = 0; j < d; j++)
                {
                    sum += xs[t, g * d + j] * xs[t, g * d + j];
                }

                var r = 1 / Math.Sqrt(sum / d + epsilon);
                rs[t, g] = r;
                for (var j = 0; j < d; j++)
                {
                    ys[t, g * d + j] = w[j] * Round(xs[t, g * d + j] * r);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        Guard.Shape(weight, 1, x.Cols);
        Guard.Shape(delta, x.Rows, x.Cols);
        Guard.Shape(sum, x.Rows, x.Cols);
        var (xs, ds, sums) = (At(x), At(delta), At(sum));
        for (var t = 0; t < x.Rows; t++)
        {
            for (var j = 0; j < x.Cols; j++)
            {
                sums[t, j] = Round(xs[t, j] + ds[t, j]);
            }
        }

        RmsNorm(sum, weight, epsilon, y, rstd);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate, TensorView dWeight)
    {
        var d = weight.Cols;
        Guard.Shape(weight, 1, d);
        Guard.Shape(dy, x.Rows, x.Cols);
        Guard.Shape(dx, x.Rows, x.Cols);
        Guard.Shape(rstd, x.Rows, x.Cols / d);
        var (dys, xs, w, rs, dxs) = (At(dy), At(x), At(weight), At(rstd), At(dx));
        var dw = new double[d];
        for (var t = 0; t < x.Rows; t++)
        {
            for (var g = 0; g < x.Cols / d; g++)
            {
                var (r, dot) = (rs[t, g], 0.0);
                for (var j = 0; j < d; j++)
                {
                    dot += dys[t, g * d + j] * w[j] * xs[t, g * d + j];
                    dw[j] += dys[t, g * d + j] * xs[t, g * d + j] * r;
                }

                for (var j = g * d; j < (g + 1) * d; j++)
                {
                    var value = r * (dys[t, j] * w[j - g * d] - xs[t, j] * r * r * dot / d);
                    dxs[t, j] = accumulate ? dxs[t, j] + value : value;
                }
            }
        }

        if (!dWeight.IsNone)
        {
            Guard.Shape(dWeight, 1, d);
            var dws = At(dWeight);
            for (var j = 0; j < d; j++)
            {
                dws[j] += dw[j];
            }
        }
    }
}
