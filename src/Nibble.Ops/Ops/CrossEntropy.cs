using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        Guard.Shape(targets, 1, logits.Rows);
        Guard.Shape(losses, 1, logits.Rows);
        var (z, target, loss) = (At(logits), At(targets), At(losses));
        for (var i = 0; i < logits.Rows; i++)
        {
            var (max, sum) = (double.NegativeInfinity, 0.0);
            for (var v = 0; v < logits.Cols; v++)
            {
                max = Math.Max(max, z[i, v]);
            }

            for (var v = 0; v < logits.Cols; v++)
            {
                sum += Math.Exp(z[i, v] - max);
            }

            var logSum = max + Math.Log(sum);
            loss[i] = logSum - z[i, target.Int(i)];
            for (var v = 0; gradientScale != 0 && v < logits.Cols; v++)
            {
                z[i, v] = gradientScale * (Math.Exp(z[i, v] - logSum) - (v == target.Int(i) ? 1 : 0));
            }
        }
    }

    /// <inheritdoc/>
    public void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        Guard.Shape(values, 1, values.Cols);
        Guard.Shape(total, 1, 1);
        Guard.Type(total, DType.F64);
        var (xs, sum) = (At(values), 0.0);
        for (var i = 0; i < values.Cols; i++)
        {
            sum += xs[i] * scale;
        }

        var totals = At(total);
        totals[0] += sum;
    }
}

internal static class CrossEntropyCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Losses(0, 100, 1), .. Losses(1, 2, 1), .. Losses(1, 1, 1), .. Losses(3, 101, 3), .. Losses(7, 64, 20),
        .. Losses(5, 1000, 2),
        .. Losses(2, 32003, 4),
        .. Sums(0), .. Sums(1), .. Sums(7), .. Sums(1000), .. Sums(100_003),
    ];

    private static IEnumerable<OpCase> Losses(int n, int v, double scale)
    {
        OpCase[] cases =
        [
            new(
                "CrossEntropy", $"n={n} V={v} σ={scale}",
                s => Loss(s, n, v, scale, 0.125f)) { HasGradient = v <= 1000 },
            new("CrossEntropy", $"n={n} V={v} σ={scale}, loss only", s => Loss(s, n, v, scale, 0)),
        ];
        return cases.SelectMany(c => c.InBothLayouts());
    }

    private static OpCase[] Sums(int n) =>
        new OpCase("AccumulateSum", $"n={n}", s => Sum(s, n)).InBothLayouts();

    private static void Loss(OpScope s, int n, int v, double scale, float gradientScale)
    {
        var logits = s.Input("logits", n, v, scale);
        var targets = s.Integers([.. Enumerable.Range(0, n).Select(i => (int)(i * 7919L % v))]);
        var losses = s.Output("losses", s.Real, 1, n, new Tolerance(ToleranceClass.Function, v));
        s.Expect(
            "logits", logits, new Tolerance(gradientScale == 0 ? ToleranceClass.Exact : ToleranceClass.Function, v));
        if (s.ClaimsGradient)
        {
            s.Gradient("logits", logits);
        }

        s.Backend.CrossEntropy(logits, targets, losses, gradientScale);
        s.Loss(losses, s.Gapless(s.Real, 1, n, _ => gradientScale));
    }

    private static void Sum(OpScope s, int n)
    {
        var values = s.Normal(1, n);
        for (var i = 0; i < n; i++)
        {
            values[0, i] = Math.Abs(values[0, i]);
        }

        var total = s.Gapless(DType.F64, 1, 1, _ => 3);
        s.Expect("total", total, new Tolerance(ToleranceClass.Product, n + 1));
        s.Backend.AccumulateSum(s.RealInput("values", values), 0.3, total);
    }
}
