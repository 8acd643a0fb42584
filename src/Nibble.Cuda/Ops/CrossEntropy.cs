using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string CrossEntropyFile = "CrossEntropy.cu";
    private const int CrossEntropyThreads = 1024;

    private readonly Kernel _crossEntropy = new(CrossEntropyFile, "cross_entropy");
    private readonly Kernel _accumulateSum = new(CrossEntropyFile, "accumulate_sum");

    /// <inheritdoc/>
    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        CheckActivation(logits, nameof(logits));
        CheckIndices(targets, logits.Rows);
        Guard.Type(losses, DType.F32);
        Guard.Shape(losses, 1, logits.Rows);
        if (logits.Count == 0)
        {
            return;
        }

        _context.Launch(
            _crossEntropy, logits.DType, LaunchShape.Of(logits.Rows, CrossEntropyThreads),
            logits, logits.Stride, targets, losses, logits.Cols, gradientScale, Layout.IsWide(logits));
    }

    /// <inheritdoc/>
    public void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        Guard.Type(values, DType.F32);
        Guard.Shape(values, 1, values.Cols);
        Guard.Type(total, DType.F64);
        Guard.Shape(total, 1, 1);
        if (values.Count > 0)
        {
            _context.Launch(
                _accumulateSum, ActivationType, LaunchShape.Of(1, CrossEntropyThreads), values, values.Cols, scale,
                total);
        }
    }
}
