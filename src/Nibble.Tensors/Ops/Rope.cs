namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Rotary position embedding in place, "rotate half": with angle θ_j of the token's position, for j &lt; D/2
    /// <c>x[j], x[j + D/2] = x[j] cos θ_j - x[j + D/2] sin θ_j, x[j + D/2] cos θ_j + x[j] sin θ_j</c>; the inverse
    /// (which is the backward pass) uses -θ. Computed in F32, rounded once. Saves nothing.
    /// Source: Su et al., "RoFormer" (2021); transformers apply_rotary_pos_emb.
    /// </summary>
    /// <param name="x">[T, heads × D], a view of the fused q, k (and not v) columns; every head is rotated.</param>
    /// <param name="positions">I32 [1, T], each below <paramref name="table"/>'s rows.</param>
    /// <param name="table">F32 (reference: F64) [positions, D]: cos θ_0 … cos θ_(D/2-1),
    /// sin θ_0 … sin θ_(D/2-1).</param>
    /// <param name="inverse">Rotate by -θ.</param>
    void Rope(TensorView x, TensorView positions, TensorView table, bool inverse);
}
