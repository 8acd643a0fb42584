namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>
    /// A frozen product and what an adapter adds to it: <c>y = x Wᵀ + b + u Bᵀ</c>. Accumulates in F32. Where u lies
    /// right behind the columns of x and B behind those of a dense W, a device may take both as one product over
    /// K + R columns, <c>[x u] [W B]ᵀ</c>, which reads and writes y once and rounds it once; else y is rounded after
    /// each of the two. Saves nothing. Source: peft tuners/lora/layer.py Linear.forward.
    /// </summary>
    /// <param name="x">[T, K] in the activation type.</param>
    /// <param name="weight">N × K.</param>
    /// <param name="u">[T, R] in the activation type: the input times A.</param>
    /// <param name="b">[N, R] in the activation type, scaled.</param>
    /// <param name="y">[T, N] in the activation type; aliases nothing.</param>
    void LinearLowRank(TensorView x, FrozenLinear weight, TensorView u, TensorView b, TensorView y);

    /// <summary>
    /// Input gradient of <see cref="LinearLowRank"/> with <c>u = x Aᵀ</c>: <c>dx = dy W + du A</c>, overwritten. One
    /// product over N + R columns, <c>[dy du] [W; A]</c>, where du lies right behind the columns of dy and A behind
    /// the rows of a dense W.
    /// </summary>
    /// <param name="dy">[T, N].</param>
    /// <param name="weight">N × K.</param>
    /// <param name="du">[T, R].</param>
    /// <param name="a">[R, K].</param>
    /// <param name="dx">[T, K]; aliases nothing.</param>
    void LinearLowRankBackward(TensorView dy, FrozenLinear weight, TensorView du, TensorView a, TensorView dx);
}
