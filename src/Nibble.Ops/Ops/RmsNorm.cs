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
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight)
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

internal static class RmsNormCases
{
    private const float Epsilon = 1e-6f;

    // A single column is normalised to ±1 but for ε: with a small one its gradient is a bend too sharp for differences
    // and all cancellation.
    private const float SingleEpsilon = 1;

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Norms(0, 64, 64),
        .. Norms(1, 64, 64),
        .. Norms(3, 65, 65),
        .. Norms(5, 1, 1),
        .. Norms(2, 896, 896),
        .. Norms(17, 33, 33),
        .. Norms(4, 4 * 32, 32),
        .. Norms(3, 6 * 128, 128),
        .. Norms(2, 5 * 7, 7),
        .. Norms(130, 96, 96),
    ];

    private static OpCase[] Norms(int t, int c, int d)
    {
        var name = $"T={t} C={c}{(d == c ? "" : $" D={d}")}";
        List<OpCase> cases =
        [
            new("RmsNorm", name, s => Forward(s, t, c, d, false)),
            new("RmsNorm", $"{name}, in place", s => Forward(s, t, c, d, true)),
            new("RmsNormBackward", name, s => Backward(s, t, c, d, false, true, false)) { HasGradient = true },
            new(
                "RmsNormBackward", $"{name}, added, frozen weight",
                s => Backward(s, t, c, d, true, false, false)) { HasGradient = true },
            new(
                "RmsNormBackward", $"{name}, in place",
                s => Backward(s, t, c, d, false, true, true)) { HasGradient = true },
        ];
        if (d == c)
        {
            cases.Add(new("AddRmsNorm", name, s => Residual(s, t, c, false)));
            cases.Add(new("AddRmsNorm", $"{name}, in place", s => Residual(s, t, c, true)));
        }

        return [.. cases.SelectMany(x => x.InBothLayouts())];
    }

    private static void Forward(OpScope s, int t, int c, int d, bool inPlace)
    {
        // One large column, as trained models have.
        var values = s.Normal(t, c);
        for (var i = 0; i < t; i++)
        {
            values[i, c / 2] *= 50;
        }

        var x = s.Input("x", s.Activation, values);
        var weight = s.Input("weight", s.Activation, 1, d, 0.2, 1);
        var y = inPlace ? x : s.Fresh(s.Activation, t, c);
        s.Expect("y", y, new Tolerance(ToleranceClass.Norm, d));
        var rstd = s.Output("rstd", s.Real, t, c / d, new Tolerance(ToleranceClass.Norm, d));
        s.Backend.RmsNorm(x, weight, Epsilon, y, rstd);
    }

    private static void Residual(OpScope s, int t, int c, bool inPlace)
    {
        var (x, delta) = (s.Input("x", t, c), s.Input("delta", t, c, 0.3));
        var weight = s.Input("weight", s.Activation, 1, c, 0.2, 1);
        var (sum, y) = inPlace ? (x, delta) : (s.Fresh(s.Activation, t, c), s.Fresh(s.Activation, t, c));
        s.Expect("sum", sum, new Tolerance(ToleranceClass.Elementwise));
        s.Expect("y", y, new Tolerance(ToleranceClass.Norm, c));
        var rstd = s.Output("rstd", s.Real, t, 1, new Tolerance(ToleranceClass.Norm, c));
        s.Backend.AddRmsNorm(x, delta, sum, weight, Epsilon, y, rstd);
    }

    private static void Backward(OpScope s, int t, int c, int d, bool accumulate, bool trainsWeight, bool inPlace)
    {
        var (x, dy, weight) = (s.Input("x", t, c), s.Input("dy", t, c), s.Input("weight", s.Activation, 1, d, 0.2, 1));
        var (y, rstd) = (s.Fresh(s.Activation, t, c), s.Fresh(s.Real, t, c / d));
        s.Backend.RmsNorm(x, weight, d == 1 ? SingleEpsilon : Epsilon, y, rstd);
        s.Loss(y, dy);
        var dx = inPlace ? dy : accumulate ? s.Input("dx", t, c) : s.Fresh(s.Activation, t, c);
        s.Expect("dx", dx, new Tolerance(ToleranceClass.Norm, d));
        s.Gradient("x", dx, accumulate);
        var dWeight = TensorView.None;
        if (trainsWeight)
        {
            dWeight = s.RealInput("dWeight", s.Normal(1, d));
            s.Expect("dWeight", dWeight, new Tolerance(ToleranceClass.Norm, t * (c / d)));
            s.Gradient("weight", dWeight, true);
        }

        s.Backend.RmsNormBackward(dy, x, weight, rstd, dx, accumulate, dWeight);
    }
}
