using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        Guard.Shape(y, ids.Cols, table.Cols);
        var (at, rows, ys) = (At(ids), At(table), At(y));
        for (var t = 0; t < y.Rows; t++)
        {
            for (var j = 0; j < table.Cols; j++)
            {
                ys[t, j] = rows[at.Int(t), j];
            }
        }
    }
}

internal static class EmbeddingCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Lookups(50, 64, []),
        .. Lookups(50, 65, [49]),
        .. Lookups(7, 1, [0, 6, 6, 3]),
        .. Lookups(300, 33, [0, 299, 17, 17, 128, 255, 256]),
        .. Lookups(11, 896, [10, 0, 10]),
    ];

    private static OpCase[] Lookups(int v, int c, int[] ids) =>
    [
        .. new OpCase("Embedding", $"V={v} C={c} T={ids.Length} BF16", s => Lookup(s, v, c, ids, DType.BF16))
            .InBothLayouts(),
        .. new OpCase("Embedding", $"V={v} C={c} T={ids.Length} F32", s => Lookup(s, v, c, ids, DType.F32))
            .InBothLayouts(),
    ];

    private static void Lookup(OpScope s, int v, int c, int[] ids, DType type)
    {
        var table = s.Input("table", type, v, c);
        var tolerance = type == DType.BF16 ? ToleranceClass.Exact : ToleranceClass.Elementwise;
        var y = s.Output("y", s.Activation, ids.Length, c, new Tolerance(tolerance));
        s.Backend.Embedding(s.Integers(ids), table, y);
    }
}
