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
    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp)
    {
        var f = dh.Cols;
        Guard.Shape(gateUp, dh.Rows, 2 * f);
        Guard.Shape(dGateUp, dh.Rows, 2 * f);
        var (dhs, gu, dgu) = (At(dh), At(gateUp), At(dGateUp));
        for (var t = 0; t < dh.Rows; t++)
        {
            for (var j = 0; j < f; j++)
            {
                var (g, u, d) = (gu[t, j], gu[t, f + j], dhs[t, j]);
                var sigma = 1 / (1 + Math.Exp(-g));
                dgu[t, j] = d * u * sigma * (1 + g * (1 - sigma));
                dgu[t, f + j] = d * g * sigma;
            }
        }
    }
}
