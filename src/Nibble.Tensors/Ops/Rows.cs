namespace Nibble.Tensors;

public partial interface IBackend
{
    /// <summary>Gathers rows: <c>y[i] = x[index[i]]</c>.</summary>
    /// <param name="x">[T, C], activation type.</param>
    /// <param name="index">I32 [1, n].</param>
    /// <param name="y">[n, C].</param>
    void GatherRows(TensorView x, TensorView index, TensorView y);

    /// <summary>Scatters rows: <c>y[index[i]] = x[i]</c>; rows of <paramref name="y"/> that are not
    /// named keep their content.</summary>
    /// <param name="x">[n, C].</param>
    /// <param name="index">I32 [1, n], without repeats.</param>
    /// <param name="y">[T, C].</param>
    void ScatterRows(TensorView x, TensorView index, TensorView y);
}
