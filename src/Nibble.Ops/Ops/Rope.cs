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

internal static class RopeCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Rotations(0, 2, 64),
        .. Rotations(1, 1, 32),
        .. Rotations(3, 14, 64),
        .. Rotations(7, 3, 96),
        .. Rotations(33, 2, 128),
        .. Rotations(2, 1, 256),
        .. Rotations(5, 2, 6),
    ];

    private static OpCase[] Rotations(int t, int heads, int d) =>
    [
        .. new OpCase("Rope", $"T={t} heads={heads} D={d}", s => Rotate(s, t, heads, d, false)).InBothLayouts(),
        .. (new OpCase("Rope", $"T={t} heads={heads} D={d}, inverse", s => Rotate(s, t, heads, d, true))
            with { HasGradient = true })
            .InBothLayouts(),
    ];

    private static void Rotate(OpScope s, int t, int heads, int d, bool inverse)
    {
        const int Positions = 70;
        var table = s.RealInput("table", Angles(Positions, d));
        var positions = s.Integers([.. Enumerable.Range(0, t).Select(i => i % 2 == 0 ? i : Positions - 1 - i)]);
        var x = s.Input("x", t, heads * d);
        if (inverse)
        {
            var dy = s.Input("dy", t, heads * d);
            s.Backend.Rope(x, positions, table, false);
            s.Loss(x, dy);
            s.Gradient("x", dy);
            s.Expect("dx", dy, new Tolerance(ToleranceClass.Elementwise));
            s.Backend.Rope(dy, positions, table, true);
        }
        else
        {
            s.Expect("x", x, new Tolerance(ToleranceClass.Elementwise));
            s.Backend.Rope(x, positions, table, false);
        }
    }

    private static double[,] Angles(int positions, int d)
    {
        var table = new double[positions, d];
        for (var p = 0; p < positions; p++)
        {
            for (var j = 0; j < d / 2; j++)
            {
                // Row p stands for position 61 p, so that few rows reach far angles.
                var angle = 61 * p * Math.Pow(10000, -2.0 * j / d);
                (table[p, j], table[p, d / 2 + j]) = (Math.Cos(angle), Math.Sin(angle));
            }
        }

        return table;
    }
}
