namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Product with a frozen weight: <c>y = x Wᵀ + b</c>. A 4-bit weight is dequantised to the activation type (one
    /// rounding) wherever it meets the multiplication: in the packed panel, in scratch, in registers, or from its
    /// resident copy; the numbers are the same. Accumulates in F32 and rounds once to the output type. Saves nothing.
    /// Source: bitsandbytes nn/modules.py Linear4bit.
    /// </summary>
    /// <param name="x">[T, K] in the activation type.</param>
    /// <param name="weight">N × K.</param>
    /// <param name="y">[T, N] in the activation type; aliases nothing.</param>
    void Linear(TensorView x, FrozenLinear weight, TensorView y);

    /// <summary>Input gradient of <see cref="Linear"/>: <c>dx (+)= dy W</c>. The weight has no gradient.</summary>
    /// <param name="dy">[T, N].</param>
    /// <param name="weight">N × K.</param>
    /// <param name="dx">[T, K]; aliases nothing.</param>
    /// <param name="accumulate">Add to <paramref name="dx"/> instead of overwriting it.</param>
    void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate);
}
