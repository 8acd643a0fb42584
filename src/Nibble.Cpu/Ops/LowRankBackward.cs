using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        MatMul(dy, false, b, false, du);
        foreach (var block in blocks)
        {
            MatMul(
                dy.ColRange(block.FirstRow, block.Gradient.Rows), true,
                u.ColRange(block.FirstRank, block.Gradient.Cols), false, block.Gradient, scale, accumulate: true);
        }
    }
}
