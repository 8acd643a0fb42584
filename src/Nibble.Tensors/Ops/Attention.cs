namespace Nibble.Tensors;

/// <summary>What both directions of attention share.</summary>
/// <param name="Heads">H, query heads.</param>
/// <param name="KvHeads">Hkv, key/value heads; query head h reads key/value head h / (H / Hkv).</param>
/// <param name="HeadDim">D.</param>
/// <param name="Scale">Factor on q·k, D^-0.5 by default.</param>
/// <param name="Window">0, or the number of latest keys a query sees, itself included.</param>
/// <param name="LongestQuery">Most query rows of one sample.</param>
/// <param name="LongestKey">Most key rows of one sample.</param>
public readonly record struct AttentionShape(
    int Heads, int KvHeads, int HeadDim, float Scale, int Window, int LongestQuery, int LongestKey);

public partial interface IBackend
{
    /// <summary>
    /// Causal grouped-query attention within samples, without a T × T matrix. Sample s has query rows cuQuery[s] …
    /// cuQuery[s+1]-1 and key rows cuKey[s] … cuKey[s+1]-1; its last query sees its last key (so one query row against
    /// a longer cache works), query i of n sees key j of m when <c>j ≤ i + m - n</c> and, with a window w,
    /// <c>j &gt; i + m - n - w</c>. <c>p = softmax(scale · q kᵀ)</c>, <c>o = p v</c>. Scores and softmax in F32, p
    /// rounded to the activation type before p v on a GPU. Saves the log-sum-exp of the scaled scores.
    /// Source: T. Dao, "FlashAttention-2" (2023), algorithms 1 and 2.
    /// </summary>
    /// <param name="q">[Tq, H × D] in the activation type.</param>
    /// <param name="k">[Tk, Hkv × D].</param>
    /// <param name="v">[Tk, Hkv × D].</param>
    /// <param name="cuQuery">I32 [1, samples + 1].</param>
    /// <param name="cuKey">I32 [1, samples + 1]; the same view as <paramref name="cuQuery"/> in training.</param>
    /// <param name="shape">Heads, widths, scale, window, longest samples.</param>
    /// <param name="o">[Tq, H × D]; aliases nothing.</param>
    /// <param name="lse">F32 (reference: F64) [H, Tq].</param>
    void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape,
        TensorView o, TensorView lse);

    /// <summary>
    /// Gradient of <see cref="Attention"/> for equal query and key rows (training). With <c>δ_i = Σ_d do_id o_id</c>:
    /// <c>dv = pᵀ do</c>, <c>ds = p · (do vᵀ - δ)</c>, <c>dq = scale · ds k</c>, <c>dk = scale · dsᵀ q</c>, summed over
    /// the query heads of a group in fixed order; no atomics.
    /// </summary>
    /// <param name="dO">[T, H × D].</param>
    /// <param name="q">[T, H × D] as in the forward pass.</param>
    /// <param name="k">[T, Hkv × D].</param>
    /// <param name="v">[T, Hkv × D].</param>
    /// <param name="o">[T, H × D] from the forward pass.</param>
    /// <param name="lse">F32 [H, T] from the forward pass.</param>
    /// <param name="cu">I32 [1, samples + 1].</param>
    /// <param name="shape">As in the forward pass.</param>
    /// <param name="delta">F32 [H, T] scratch for δ.</param>
    /// <param name="dq">[T, H × D]; overwritten.</param>
    /// <param name="dk">[T, Hkv × D]; overwritten.</param>
    /// <param name="dv">[T, Hkv × D]; overwritten.</param>
    void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv);
}
