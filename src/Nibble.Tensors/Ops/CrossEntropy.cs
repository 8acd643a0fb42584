namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Loss of a chunk of positions and, in place, the gradient of its logits:
    /// <c>loss[i] = log Σ_v e^logits[i,v] - logits[i, target_i]</c>; with a non-zero
    /// <paramref name="gradientScale"/> s, <c>logits[i,v] ← s · (softmax(logits[i])_v - [v = target_i])</c>. F32
    /// arithmetic; rounded once to the logits' type.
    /// </summary>
    /// <param name="logits">[n, V] in the activation type; overwritten when a gradient is asked for.</param>
    /// <param name="targets">I32 [1, n], each in 0 … V-1.</param>
    /// <param name="losses">F32 (reference: F64) [1, n].</param>
    /// <param name="gradientScale">Usually 1 / trained tokens of the step; 0 leaves the logits as they are.</param>
    void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale);

    /// <summary>Adds a fixed-order sum: <c>total += Σ_i values_i · scale</c>, in F64.</summary>
    /// <param name="values">F32 (reference: F64) [1, n].</param>
    /// <param name="scale">Factor.</param>
    /// <param name="total">F64 [1, 1].</param>
    void AccumulateSum(TensorView values, double scale, TensorView total);
}
