namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>Adds: <c>y += x</c>, rounded to the type of <paramref name="y"/>.</summary>
    /// <param name="x">[T, C].</param>
    /// <param name="y">[T, C], same type.</param>
    void Add(TensorView x, TensorView y);

    /// <summary>Copies with conversion and a factor: <c>y = scale · x</c>, computed in F32 (F64 when either is F64),
    /// rounded once; a factor of 1 between equal types copies bits.</summary>
    /// <param name="x">[T, C], F64, F32, BF16 or F16.</param>
    /// <param name="y">[T, C], F64, F32, BF16 or F16.</param>
    /// <param name="scale">Factor.</param>
    void Convert(TensorView x, TensorView y, float scale = 1);

    /// <summary>
    /// Inverted dropout from counters: element (t, c) survives when
    /// <c>Uniform(word_(i mod 4) of Philox(key, i / 4, stream)) ≥ p</c>, with
    /// <c>i = (rowOffset + t) · C + c</c>, and is then divided by 1 - p:
    /// <c>y (+)= survives ? x / (1 - p) : 0</c>. The backward pass is the same call on the gradient. The mask
    /// depends on the element's place in the optimizer step and not on how the step is cut into passes.
    /// Source: N. Srivastava et al., "Dropout" (2014); <see cref="Philox"/>.
    /// </summary>
    /// <param name="x">[T, C].</param>
    /// <param name="y">[T, C]; may be <paramref name="x"/> when not accumulating.</param>
    /// <param name="probability">p in [0, 1).</param>
    /// <param name="key">Philox key: the run's seed.</param>
    /// <param name="stream">Philox stream: step, layer and place.</param>
    /// <param name="rowOffset">Tokens of the step before this pass.</param>
    /// <param name="accumulate">Add to <paramref name="y"/>.</param>
    void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset,
        bool accumulate = false);
}
