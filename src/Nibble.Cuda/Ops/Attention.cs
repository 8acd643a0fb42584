using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public void Attention(
        TensorView q, TensorView k, TensorView v, TensorView cuQuery, TensorView cuKey, in AttentionShape shape, TensorView o,
        TensorView lse) => throw new NotSupportedException($"{Name}: attention on CUDA is not built in");

    /// <inheritdoc/>
    public void AttentionBackward(
        TensorView dO, TensorView q, TensorView k, TensorView v, TensorView o, TensorView lse, TensorView cu,
        in AttentionShape shape, TensorView delta, TensorView dq, TensorView dk, TensorView dv) =>
        throw new NotSupportedException($"{Name}: attention on CUDA is not built in");
}
