namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Root-mean-square norm over groups of D columns: with <c>r = 1 / sqrt(mean(x²) + ε)</c>,
    /// <c>y = w · round(x · r)</c>, where <c>round</c> is to the activation type. D = weight.Cols; D = C gives the
    /// layer norm, D = head width gives the per-head norm of Qwen3 (G = C / D groups a row).
    /// Accumulates in F32 (F64 in the reference). Saves r. <paramref name="y"/> may alias <paramref name="x"/>.
    /// Source: B. Zhang, R. Sennrich, "Root Mean Square Layer Normalization" (2019); transformers Qwen2RMSNorm.
    /// </summary>
    /// <param name="x">[T, C] in the activation type.</param>
    /// <param name="weight">[1, D] in the activation type; C is a multiple of D.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[T, C] in the activation type.</param>
    /// <param name="rstd">F32 (reference: F64) [T, G]: r.</param>
    void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd);

    /// <summary>
    /// Residual and norm in one pass: <c>sum = x + delta</c> (rounded to the activation type), then
    /// <see cref="RmsNorm"/> of the sum with D = C.
    /// </summary>
    /// <param name="x">[T, C].</param>
    /// <param name="delta">[T, C].</param>
    /// <param name="sum">[T, C]; may be <paramref name="x"/> or <paramref name="delta"/> itself.</param>
    /// <param name="weight">[1, C].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">[T, C]; may alias <paramref name="delta"/> when <paramref name="sum"/> does not.</param>
    /// <param name="rstd">F32 (reference: F64) [T, 1].</param>
    void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y,
        TensorView rstd);

    /// <summary>
    /// Gradient of <see cref="RmsNorm"/>: with <c>g = dy · w</c> per group,
    /// <c>dx (+)= r · (g - x · r² · mean(g · x))</c> and, when asked, <c>dw += Σ_t dy · x · r</c> in fixed order.
    /// </summary>
    /// <param name="dy">[T, C].</param>
    /// <param name="x">[T, C], the input of the forward pass.</param>
    /// <param name="weight">[1, D].</param>
    /// <param name="rstd">F32 [T, G] from the forward pass.</param>
    /// <param name="dx">[T, C]; may alias <paramref name="dy"/> when not accumulating.</param>
    /// <param name="accumulate">Add to <paramref name="dx"/> instead of overwriting it.</param>
    /// <param name="dWeight">F32 [1, D], added to, or none.</param>
    void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight);
}
