using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        MatMul(dy, false, b, false, du);
        foreach (var (row, rank, gradient) in blocks)
        {
            MatMul(
                dy.ColRange(row, gradient.Rows), true, u.ColRange(rank, gradient.Cols), false, gradient, scale,
                accumulate: true);
        }
    }
}

internal static class LowRankBackwardCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Groups(0, 8, 64), .. Groups(1, 8, 256, 64, 64), .. Groups(3, 4, 200, 56, 24), .. Groups(17, 8, 96),
        .. Groups(63, 5, 40, 33, 7), .. Groups(65, 8, 1032, 264, 264), .. Groups(130, 16, 512),
        .. Groups(320, 24, 264), .. Groups(70, 12, 264, 200), .. Groups(600, 8, 264, 40, 72),
        .. Groups(40, 16, 96, 64, 64), .. Groups(1000, 3, 296),
    ];

    private static OpCase[] Groups(int t, int r, params int[] rows) =>
        (new OpCase(
            "LowRankBackward", $"T={t} R={string.Join('+', rows.Select(_ => r))} N={string.Join('+', rows)}",
            s => Group(s, t, r, rows)) with
        {
            HasGradient = t <= 65,
        }).InBothLayouts();

    // y = u Bᵀ with one block of B for each piece of y.
    private static void Group(OpScope s, int t, int r, int[] rows)
    {
        const float scale = 0.5f;
        var (n, sum) = (rows.Sum(), r * rows.Length);
        var factors = s.Normal(n, sum, 0.3);
        var first = 0;
        for (var i = 0; i < rows.Length; i++)
        {
            for (var row = 0; row < n; row++)
            {
                for (var rank = i * r; rank < (i + 1) * r; rank++)
                {
                    factors[row, rank] = row >= first && row < first + rows[i] ? factors[row, rank] : 0;
                }
            }

            first += rows[i];
        }

        var (u, b) = (s.Input("u", t, sum), s.Input("b", s.Activation, factors));
        var (y, dy) = (s.Fresh(s.Activation, t, n), s.Input("dy", t, n));
        s.Backend.MatMul(u, false, b, true, y);
        s.Loss(y, dy);
        var du = s.Output("du", s.Activation, t, sum, new Tolerance(ToleranceClass.Product, n + 1));
        if (s.ClaimsGradient)
        {
            s.Gradient("u", du);
        }

        var blocks = new LowRankBlock[rows.Length];
        first = 0;
        for (var i = 0; i < rows.Length; i++)
        {
            var gradient = s.RealInput($"dB{i}", s.Normal(rows[i], r));
            s.Expect($"dB{i}", gradient, new Tolerance(ToleranceClass.Product, t + 1));
            blocks[i] = new LowRankBlock(first, i * r, gradient);
            first += rows[i];
        }

        s.Backend.LowRankBackward(dy, b, u, blocks, scale, du);
    }
}
