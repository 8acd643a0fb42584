namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Dense product: <c>c (+)= α · op(a) · op(b)</c> with <c>op(a)</c> [M, K], <c>op(b)</c> [K, N]. Inputs in the
    /// activation type or F32 (both the same on a GPU), output in the activation type or F32; accumulates in F32 in an
    /// order that depends only on the shapes. Used for everything trained: LoRA factors, their gradients, full weights.
    /// </summary>
    /// <param name="a">[M, K], or [K, M] when <paramref name="transposeA"/>.</param>
    /// <param name="transposeA">Read <paramref name="a"/> transposed.</param>
    /// <param name="b">[K, N], or [N, K] when <paramref name="transposeB"/>.</param>
    /// <param name="transposeB">Read <paramref name="b"/> transposed.</param>
    /// <param name="c">[M, N]; aliases nothing.</param>
    /// <param name="alpha">α.</param>
    /// <param name="accumulate">Add to <paramref name="c"/> instead of overwriting it.</param>
    void MatMul(
        TensorView a, bool transposeA, TensorView b, bool transposeB, TensorView c, float alpha = 1,
        bool accumulate = false);
}
