using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void ColumnSum(TensorView x, TensorView y)
    {
        Guard.Shape(y, 1, x.Cols);
        var (xs, ys) = (At(x), At(y));
        for (var j = 0; j < x.Cols; j++)
        {
            var sum = 0.0;
            for (var t = 0; t < x.Rows; t++)
            {
                sum += xs[t, j];
            }

            ys[j] += sum;
        }
    }
}

internal static class ColumnSumCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sums(0, 64),
        .. Sums(1, 65),
        .. Sums(3, 1),
        .. Sums(17, 33),
        .. Sums(130, 96),
        .. Sums(700, 200),
    ];

    private static OpCase[] Sums(int t, int n) =>
        (new OpCase("ColumnSum", $"T={t} N={n}", s => Sum(s, t, n)) with { HasGradient = true }).InBothLayouts();

    // The bias of a product with no inputs to speak of: one column of zeros.
    private static void Sum(OpScope s, int t, int n)
    {
        var (bias, dy) = (s.Input("bias", 1, n), s.Input("dy", t, n));
        var y = s.Fresh(s.Activation, t, n);
        s.Backend.Linear(s.Gapless(s.Activation, t, 1), new FrozenLinear(s.Gapless(s.Activation, n, 1), bias), y);
        s.Loss(y, dy);
        var dBias = s.RealInput("dBias", s.Normal(1, n));
        s.Expect("dBias", dBias, new Tolerance(ToleranceClass.Product, t + 1));
        s.Gradient("bias", dBias, added: true);
        s.Backend.ColumnSum(dy, dBias);
    }
}
