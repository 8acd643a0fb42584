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

internal static class ElementwiseCases
{
    private static readonly double[] Special =
        [
            0, -0.0, double.NaN, double.PositiveInfinity, double.NegativeInfinity, 65504, 65520, 1e-7, -6e-8, 3e-41,
            3.3e38, 1.00390625];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sums(0, 8), .. Sums(1, 1), .. Sums(3, 65), .. Sums(40, 64), .. Sums(2, 1000),
        .. Conversions(0, 8), .. Conversions(1, 12), .. Conversions(3, 65), .. Conversions(7, 128),
        .. Dropouts(0, 64, 0.1f, 0), .. Dropouts(1, 64, 0, 0), .. Dropouts(5, 65, 0.1f, 0), .. Dropouts(3, 1, 0.5f, 7),
        .. Dropouts(33, 31, 0.05f, 13), .. Dropouts(4, 130, 0.9f, 1L << 33),
    ];

    private static OpCase[] Sums(int t, int c) => new OpCase("Add", $"T={t} C={c}", s => Sum(s, t, c)).InBothLayouts();

    private static IEnumerable<OpCase> Conversions(int t, int c)
    {
        DType[] types = [DType.F32, DType.BF16, DType.F16, DType.F64];
        foreach (var from in types)
        {
            foreach (var to in types)
            {
                foreach (var scale in new[] { 1f, -0.37f })
                {
                    var name = $"T={t} C={c} {from} to {to}{(scale == 1 ? "" : " scaled")}";
                    var opCase = new OpCase("Convert", name, s => Copy(s, t, c, from, to, scale));
                    foreach (var one in opCase.InBothLayouts())
                    {
                        yield return one;
                    }
                }
            }
        }
    }

    private static OpCase[] Dropouts(int t, int c, float p, long rowOffset)
    {
        var name = $"T={t} C={c} p={p} offset={rowOffset}";
        return
        [
            .. (new OpCase("Dropout", name, s => Drop(s, t, c, p, rowOffset, false, false)) with { HasGradient = true })
                .InBothLayouts(),
            .. (new OpCase("Dropout", $"{name}, added", s => Drop(s, t, c, p, rowOffset, true, false))
                with { HasGradient = true })
                .InBothLayouts(),
            .. (new OpCase("Dropout", $"{name}, in place", s => Drop(s, t, c, p, rowOffset, false, true))
                with { HasGradient = true })
                .InBothLayouts(),
        ];
    }

    private static void Sum(OpScope s, int t, int c)
    {
        var (x, y) = (s.Input("x", t, c), s.Input("y", t, c));
        s.Expect("y", y, new Tolerance(ToleranceClass.Elementwise));
        s.Backend.Add(x, y);
    }

    private static void Copy(OpScope s, int t, int c, DType from, DType to, float scale)
    {
        var values = s.Normal(t, c);
        for (var i = 0; i < Math.Min(Special.Length, values.Length); i++)
        {
            values[i / c, i % c] = Special[i];
        }

        // Every step is a defined rounding, so the bits are.
        var y = s.Output("y", to, t, c, new Tolerance(ToleranceClass.Exact));
        s.Backend.Convert(s.Input("x", from, from, values), y, scale);
    }

    private static void Drop(OpScope s, int t, int c, float p, long rowOffset, bool accumulate, bool inPlace)
    {
        const ulong Key = 0x0123_4567_89AB_CDEF;
        const ulong Stream = 0xFEDC_BA98_0000_0003;
        var (x, dy) = (s.Input("x", t, c), s.Input("dy", t, c));
        var y = inPlace ? x : accumulate ? s.Input("y", t, c) : s.Fresh(s.Activation, t, c);
        s.Expect("y", y, new Tolerance(ToleranceClass.Elementwise));
        s.Backend.Dropout(x, y, p, Key, Stream, rowOffset, accumulate);
        s.Loss(y, dy);
        var dx = accumulate ? s.Input("dx", t, c) : s.Fresh(s.Activation, t, c);
        s.Expect("dx", dx, new Tolerance(ToleranceClass.Elementwise));
        s.Gradient("x", dx, accumulate);
        s.Backend.Dropout(dy, dx, p, Key, Stream, rowOffset, accumulate);
    }
}
