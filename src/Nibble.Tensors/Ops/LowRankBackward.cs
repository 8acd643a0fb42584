namespace Nibble.Tensors;

/// <summary>A block of a block-diagonal factor B [N, ΣR].</summary>
/// <param name="FirstRow">Its first row of B.</param>
/// <param name="FirstRank">Its first column of B.</param>
/// <param name="Gradient">Its gradient, F32 (reference: F64 too) [N_i, R_i], which also says how large it is.</param>
public readonly record struct LowRankBlock(int FirstRow, int FirstRank, TensorView Gradient);

public partial interface IBackend
{
    /// <summary>
    /// Backward of <c>y += u Bᵀ</c>, the second product of LoRA, with a block-diagonal B: <c>du = dy B</c>,
    /// overwritten, and for each block <c>dB_i += s · dy_iᵀ u_i</c> with the block's columns of dy and of u. The same
    /// as those products by <see cref="MatMul"/>, in as few launches as the device can.
    /// </summary>
    /// <param name="dy">[T, N].</param>
    /// <param name="b">[N, ΣR] in the type of <paramref name="dy"/>, 0 outside of its blocks.</param>
    /// <param name="u">[T, ΣR] in the type of <paramref name="dy"/>: what B was multiplied with.</param>
    /// <param name="blocks">Blocks of B whose gradients are asked for; their gradients do not overlap.</param>
    /// <param name="scale">s.</param>
    /// <param name="du">[T, ΣR] in the type of <paramref name="dy"/>; aliases nothing.</param>
    void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du);
}
