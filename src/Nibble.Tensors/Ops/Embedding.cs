namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Rows of a table: <c>y[t] = table[ids[t]]</c>. Saves nothing.
    /// </summary>
    /// <param name="ids">I32 [1, T], each in 0 … V-1; an id outside is the caller's defect and undefined.</param>
    /// <param name="table">[V, C], F32 or BF16; may live in pinned host memory.</param>
    /// <param name="y">[T, C] in the activation type.</param>
    void Embedding(TensorView ids, TensorView table, TensorView y);
}
