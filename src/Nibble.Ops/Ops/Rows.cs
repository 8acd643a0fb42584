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

internal static class RowsCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Moves(9, 64, []),
        .. Moves(9, 65, [4]),
        .. Moves(3, 1, [2, 0, 1]),
        .. Moves(40, 33, [39, 0, 7, 8, 9, 21]),
        .. Moves(5, 896, [1, 3]),
    ];

    private static OpCase[] Moves(int t, int c, int[] index) =>
    [
        .. (new OpCase("GatherRows", $"T={t} C={c} n={index.Length}", s => Gather(s, t, c, index))
            with { HasGradient = true })
            .InBothLayouts(),
        .. new OpCase("ScatterRows", $"T={t} C={c} n={index.Length}", s => Scatter(s, t, c, index)).InBothLayouts(),
    ];

    private static void Gather(OpScope s, int t, int c, int[] index)
    {
        var (x, dy, at) = (s.Input("x", t, c), s.Input("dy", index.Length, c), s.Integers(index));
        var y = s.Output("y", s.Activation, index.Length, c, new Tolerance(ToleranceClass.Exact));
        s.Backend.GatherRows(x, at, y);
        s.Loss(y, dy);
        var dx = s.Input("dx", s.Activation, new double[t, c]);
        s.Expect("dx", dx, new Tolerance(ToleranceClass.Exact));
        s.Gradient("x", dx);
        s.Backend.ScatterRows(dy, at, dx);
    }

    private static void Scatter(OpScope s, int t, int c, int[] index)
    {
        var (x, y) = (s.Input("x", index.Length, c), s.Input("y", t, c));
        s.Expect("y", y, new Tolerance(ToleranceClass.Exact));
        s.Backend.ScatterRows(x, s.Integers(index), y);
    }
}
