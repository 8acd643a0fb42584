namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// Gradient of <see cref="Embedding"/>: <c>dTable[ids[t]] += dy[t]</c>, repeated ids in the order of
    /// the tokens; no atomics. F32 accumulation, each sum starting from what stands in the table. Rows
    /// that no token names keep their bits.
    /// </summary>
    /// <param name="ids">I32 [1, T], each in 0 … V-1; an id outside is the caller's defect and undefined.</param>
    /// <param name="dy">[T, C] in the activation type.</param>
    /// <param name="dTable">F32 (reference: F64 too) [V, C], added to; aliases nothing.</param>
    void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable);
}
