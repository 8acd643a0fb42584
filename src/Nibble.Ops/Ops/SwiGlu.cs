using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void SwiGlu(TensorView gateUp, TensorView h)
    {
        var f = h.Cols;
        Guard.Shape(gateUp, h.Rows, 2 * f);
        var (gu, hs) = (At(gateUp), At(h));
        for (var t = 0; t < h.Rows; t++)
        {
            for (var j = 0; j < f; j++)
            {
                hs[t, j] = gu[t, j] / (1 + Math.Exp(-gu[t, j])) * gu[t, f + j];
            }
        }
    }

    /// <inheritdoc/>
    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp, TensorView h)
    {
        var f = dh.Cols;
        Guard.Shape(gateUp, dh.Rows, 2 * f);
        Guard.Shape(dGateUp, dh.Rows, 2 * f);
        var (dhs, gu, dgu) = (At(dh), At(gateUp), At(dGateUp));
        var hs = h.IsNone ? default : At(h);
        for (var t = 0; t < dh.Rows; t++)
        {
            for (var j = 0; j < f; j++)
            {
                var (g, u, d) = (gu[t, j], gu[t, f + j], dhs[t, j]);
                var sigma = 1 / (1 + Math.Exp(-g));
                dgu[t, j] = d * u * sigma * (1 + g * (1 - sigma));
                dgu[t, f + j] = d * g * sigma;
                if (!h.IsNone)
                {
                    hs[t, j] = g * sigma * u;
                }
            }
        }
    }
}

internal static class SwiGluCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Gates(0, 64, 1), .. Gates(1, 64, 1), .. Gates(3, 65, 1), .. Gates(4, 1, 2), .. Gates(9, 33, 3),
        .. Gates(2, 300, 40),
    ];

    private static OpCase[] Gates(int t, int f, double scale)
    {
        var name = $"T={t} F={f}{(scale > 10 ? " saturated" : "")}";
        return
        [
            .. new OpCase("SwiGlu", name, s => Forward(s, t, f, scale)).InBothLayouts(),
            .. Both("SwiGluBackward", name, s => Backward(s, t, f, scale, false, false)),
            .. Both("SwiGluBackward", $"{name}, in place", s => Backward(s, t, f, scale, true, false)),
            .. Both("SwiGluBackward", $"{name}, with h", s => Backward(s, t, f, scale, false, true)),
            .. Both("SwiGluBackward", $"{name}, with h, in place", s => Backward(s, t, f, scale, true, true)),
        ];
    }

    private static OpCase[] Both(string op, string name, Action<OpScope> run) =>
        (new OpCase(op, name, run) with { HasGradient = true }).InBothLayouts();

    private static void Forward(OpScope s, int t, int f, double scale)
    {
        var gateUp = s.Input("gateUp", t, 2 * f, scale);
        s.Backend.SwiGlu(gateUp, s.Output("h", s.Activation, t, f, new Tolerance(ToleranceClass.Function)));
    }

    private static void Backward(OpScope s, int t, int f, double scale, bool inPlace, bool again)
    {
        var (gateUp, dh, h) = (s.Input("gateUp", t, 2 * f, scale), s.Input("dh", t, f), s.Fresh(s.Activation, t, f));
        s.Backend.SwiGlu(gateUp, h);
        s.Loss(h, dh);
        var dGateUp = inPlace ? gateUp : s.Fresh(s.Activation, t, 2 * f);
        s.Expect("dGateUp", dGateUp, new Tolerance(ToleranceClass.Function));
        s.Gradient("gateUp", dGateUp);
        var restored = !again ? TensorView.None : inPlace ? dh : s.Fresh(s.Activation, t, f);
        if (again)
        {
            s.Expect("h", restored, new Tolerance(ToleranceClass.Function));
        }

        s.Backend.SwiGluBackward(dh, gateUp, dGateUp, restored);
    }
}
