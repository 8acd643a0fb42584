namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Gated activation: <c>h = silu(g) · u</c> with <c>silu(g) = g / (1 + e^-g)</c>, computed in F32, rounded once.
    /// Saves nothing beyond its input. Source: N. Shazeer, "GLU Variants Improve Transformer" (2020).
    /// </summary>
    /// <param name="gateUp">[T, 2F]: g in the first F columns, u in the last.</param>
    /// <param name="h">[T, F].</param>
    void SwiGlu(TensorView gateUp, TensorView h);

    /// <summary>
    /// Gradient of <see cref="SwiGlu"/>: with σ = 1 / (1 + e^-g),
    /// <c>dg = dh · u · σ (1 + g (1 - σ))</c>, <c>du = dh · g σ</c>. What is trained on the product behind it needs
    /// its input again: it comes out beside the gradients.
    /// </summary>
    /// <param name="dh">[T, F].</param>
    /// <param name="gateUp">[T, 2F] from the forward pass.</param>
    /// <param name="dGateUp">[T, 2F]; may be <paramref name="gateUp"/> itself.</param>
    /// <param name="h">[T, F]: <see cref="SwiGlu"/> of <paramref name="gateUp"/>; may be <paramref name="dh"/> itself,
    /// or none.</param>
    void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp, TensorView h);
}
