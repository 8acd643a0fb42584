using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string SwiGluFile = "SwiGlu.cu";

    private readonly Kernel _swiGluForward = new(SwiGluFile, "swiglu_forward");
    private readonly Kernel _swiGluBackward = new(SwiGluFile, "swiglu_backward");

    /// <inheritdoc/>
    public void SwiGlu(TensorView gateUp, TensorView h)
    {
        CheckActivation(h, nameof(h));
        Guard.Type(gateUp, h.DType);
        Guard.Shape(gateUp, h.Rows, checked(2 * h.Cols));
        if (h.Count == 0)
        {
            return;
        }

        var wide = Layout.IsWide(gateUp) && Layout.IsWide(h);
        _context.Launch(
            _swiGluForward, h.DType, Layout.Grid(h, wide), gateUp, gateUp.Stride, h, h.Stride, h.Rows, h.Cols, wide);
    }

    /// <inheritdoc/>
    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp, TensorView h)
    {
        CheckActivation(dh, nameof(dh));
        Guard.Type(gateUp, dh.DType);
        Guard.Shape(gateUp, dh.Rows, checked(2 * dh.Cols));
        CheckLike(dGateUp, gateUp);
        if (!h.IsNone)
        {
            CheckLike(h, dh);
        }

        if (dh.Count == 0)
        {
            return;
        }

        var wide = Layout.IsWide(dh) && Layout.IsWide(gateUp) && Layout.IsWide(dGateUp)
            && (h.IsNone || Layout.IsWide(h));
        _context.Launch(
            _swiGluBackward, dh.DType, Layout.Grid(dh, wide),
            dh, dh.Stride, gateUp, gateUp.Stride, dGateUp, dGateUp.Stride, h, h.Stride, dh.Rows, dh.Cols,
            wide);
    }
}
