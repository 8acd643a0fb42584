namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Adds the sum of every column: <c>y_j += Σ_t x_tj</c>, in F32 and in an order that depends only on the shape: the
    /// gradient of a bias. Saves nothing.
    /// </summary>
    /// <param name="x">[T, N] in the activation type.</param>
    /// <param name="y">F32 (reference: F64 too) [1, N], added to; aliases nothing.</param>
    void ColumnSum(TensorView x, TensorView y);
}
