using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable)
    {
        Guard.Shape(ids, 1, dy.Rows);
        Guard.Shape(dy, ids.Cols, dTable.Cols);
        var (at, dys, rows) = (At(ids), At(dy), At(dTable));
        for (var t = 0; t < dy.Rows; t++)
        {
            for (var j = 0; j < dy.Cols; j++)
            {
                rows[at.Int(t), j] += dys[t, j];
            }
        }
    }
}

internal static class EmbeddingBackwardCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Sums(5, 64, []),
        .. Sums(5, 65, [4]),
        .. Sums(7, 1, [0, 6, 6, 3]),
        .. Sums(30, 33, [0, 29, 17, 17, 28, 25, 17]),
        .. Sums(3, 300, [2, 0, 2]),
        .. Sums(4, 8, [.. Enumerable.Range(0, 700).Select(t => t * t % 3)]),
    ];

    private static OpCase[] Sums(int v, int c, int[] ids) =>
        new OpCase("EmbeddingBackward", $"V={v} C={c} T={ids.Length}", s => Sum(s, v, c, ids)) { HasGradient = true }
            .InBothLayouts();

    private static void Sum(OpScope s, int v, int c, int[] ids)
    {
        var (table, dy, at) = (s.Input("table", v, c), s.Input("dy", ids.Length, c), s.Integers(ids));
        var y = s.Fresh(s.Activation, ids.Length, c);
        s.Backend.Embedding(at, table, y);
        s.Loss(y, dy);
        var dTable = s.RealInput("dTable", s.Normal(v, c));
        s.Expect("dTable", dTable, new Tolerance(ToleranceClass.Product, ids.Length + 1));
        s.Gradient("table", dTable, added: true);
        s.Backend.EmbeddingBackward(at, dy, dTable);
    }
}
