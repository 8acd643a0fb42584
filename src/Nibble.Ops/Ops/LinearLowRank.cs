using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void LinearLowRank(TensorView x, FrozenLinear weight, TensorView u, TensorView b, TensorView y)
    {
        Linear(x, weight, y);
        MatMul(u, false, b, true, y, accumulate: true);
    }

    /// <inheritdoc/>
    public void LinearLowRankBackward(TensorView dy, FrozenLinear weight, TensorView du, TensorView a, TensorView dx)
    {
        LinearBackward(dy, weight, dx, accumulate: false);
        MatMul(du, false, a, false, dx, accumulate: true);
    }
}

internal static class LinearLowRankCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Adapted(0, 8, 16, 4, false), .. Adapted(1, 64, 128, 8, false), .. Adapted(3, 65, 33, 5, true),
        .. Adapted(17, 96, 64, 24, true), .. Adapted(65, 130, 192, 12, false), .. Adapted(40, 264, 320, 16, true),
        .. Adapted(130, 512, 256, 48, true), .. Adapted(600, 1032, 584, 24, true),
    ];

    private static IEnumerable<OpCase> Adapted(int t, int n, int k, int r, bool bias)
    {
        var name = $"T={t} N={n} K={k} R={r}{(bias ? " bias" : "")}";
        OpCase[] apart =
        [
            new("LinearLowRank", name, s => Forward(s, t, n, k, r, bias, joined: false)),
            new("LinearLowRankBackward", name, s => Backward(s, t, n, k, r, bias))
            {
                HasGradient = t <= 65,
            },
        ];
        return
        [
            .. apart.SelectMany(c => c.InBothLayouts()),
            new OpCase("LinearLowRank", $"{name}, joined", s => Forward(s, t, n, k, r, bias, joined: true)),
            new OpCase("LinearLowRankBackward", $"{name}, joined", s => JoinedBackward(s, t, n, k, r)),
        ];
    }

    private static void Forward(OpScope s, int t, int n, int k, int r, bool bias, bool joined)
    {
        TensorView x, u, w, b;
        if (joined)
        {
            (x, u) = Columns(s.Input("x u", s.Activation, t, k + r), k);
            (w, b) = Columns(s.Input("W B", s.Activation, n, k + r, 0.1), k);
        }
        else
        {
            (x, u) = (s.Input("x", t, k), s.Input("u", t, r));
            (w, b) = (s.Input("W", s.Activation, n, k, 0.1), s.Input("B", s.Activation, n, r, 0.1));
        }

        var y = s.Output("y", s.Activation, t, n, new Tolerance(ToleranceClass.Chain, k + r + 1));
        s.Backend.LinearLowRank(x, new FrozenLinear(w, Bias(s, n, bias)), u, b, y);
    }

    // The whole of an adapted product: u = x Aᵀ, y = x Wᵀ + b + u Bᵀ, du = dy B, dx.
    private static void Backward(OpScope s, int t, int n, int k, int r, bool bias)
    {
        var (x, dy) = (s.Input("x", t, k), s.Input("dy", t, n));
        var weight = new FrozenLinear(s.Input("W", s.Activation, n, k, 0.1), Bias(s, n, bias));
        var (a, b) = (s.Input("A", s.Activation, r, k, 0.1), s.Input("B", s.Activation, n, r, 0.1));
        var (u, y, du) = (s.Fresh(s.Activation, t, r), s.Fresh(s.Activation, t, n), s.Fresh(s.Activation, t, r));
        s.Backend.MatMul(x, false, a, true, u);
        s.Backend.LinearLowRank(x, weight, u, b, y);
        s.Loss(y, dy);
        s.Backend.MatMul(dy, false, b, false, du);
        var dx = s.Output("dx", s.Activation, t, k, new Tolerance(ToleranceClass.Chain, n + r + 1));
        if (s.ClaimsGradient)
        {
            s.Gradient("x", dx);
        }

        s.Backend.LinearLowRankBackward(dy, weight, du, a, dx);
    }

    private static void JoinedBackward(OpScope s, int t, int n, int k, int r)
    {
        var (dy, du) = Columns(s.Input("dy du", s.Activation, t, n + r), n);
        var factors = s.Input("W A", s.Activation, n + r, k, 0.1);
        var dx = s.Output("dx", s.Activation, t, k, new Tolerance(ToleranceClass.Chain, n + r + 1));
        s.Backend.LinearLowRankBackward(
            dy, new FrozenLinear(factors.RowRange(0, n), TensorView.None), du, factors.RowRange(n, r), dx);
    }

    private static TensorView Bias(OpScope s, int n, bool bias) => bias ? s.Input("bias", 1, n) : TensorView.None;

    private static (TensorView First, TensorView Second) Columns(TensorView both, int first) =>
        (both.ColRange(0, first), both.ColRange(first, both.Cols - first));
}
