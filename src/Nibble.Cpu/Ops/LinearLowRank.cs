using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
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
