using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string RmsNormFile = "RmsNorm.cu";

    // Up to this width a group belongs to a warp, above it to a block.
    private const int RmsNormWarpWidth = 512;

    private const int RmsNormThreads = 256;

    private readonly Kernel _rmsNormForward = new(RmsNormFile, "rms_norm_forward");
    private readonly Kernel _rmsNormGroupsForward = new(RmsNormFile, "rms_norm_groups_forward");
    private readonly Kernel _rmsNormBackward = new(RmsNormFile, "rms_norm_backward");
    private readonly Kernel _rmsNormGroupsBackward = new(RmsNormFile, "rms_norm_groups_backward");
    private readonly Kernel _rmsNormBackwardWeight = new(RmsNormFile, "rms_norm_backward_weight");

    /// <inheritdoc/>
    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd) =>
        LaunchRmsNorm(x, TensorView.None, TensorView.None, weight, epsilon, y, rstd);

    /// <inheritdoc/>
    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        CheckLike(delta, x);
        CheckLike(sum, x);
        Guard.Shape(weight, 1, x.Cols);
        LaunchRmsNorm(x, delta, sum, weight, epsilon, y, rstd);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight)
    {
        var groups = CheckRmsNorm(x, weight, dx, rstd);
        CheckLike(dy, x);
        if (x.Rows == 0)
        {
            return;
        }

        // First: dx may be dy.
        if (!dWeight.IsNone)
        {
            Guard.Type(dWeight, DType.F32);
            Guard.Shape(dWeight, 1, weight.Cols);
            _context.Launch(
                _rmsNormBackwardWeight, x.DType, LaunchShape.Of((weight.Cols + 31) / 32, RmsNormThreads),
                dy, dy.Stride, x, x.Stride, rstd, rstd.Stride, dWeight, x.Rows, groups, weight.Cols);
        }

        var wide = Layout.IsWide(dy) && Layout.IsWide(x) && Layout.IsWide(dx) && Layout.IsWide(weight);
        var blocks = weight.Cols > RmsNormWarpWidth;
        _context.Launch(
            blocks ? _rmsNormBackward : _rmsNormGroupsBackward, x.DType, RmsNormGrid((long)x.Rows * groups, blocks),
            dy, dy.Stride, x, x.Stride, weight, rstd, rstd.Stride, dx, dx.Stride, x.Rows, groups, weight.Cols,
            accumulate, wide);
    }

    private void LaunchRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        var groups = CheckRmsNorm(x, weight, y, rstd);
        if (x.Rows == 0)
        {
            return;
        }

        var wide = Layout.IsWide(x) && Layout.IsWide(y) && Layout.IsWide(weight)
            && (delta.IsNone || (Layout.IsWide(delta) && Layout.IsWide(sum)));
        var blocks = weight.Cols > RmsNormWarpWidth;
        _context.Launch(
            blocks ? _rmsNormForward : _rmsNormGroupsForward, x.DType, RmsNormGrid((long)x.Rows * groups, blocks),
            x, x.Stride, delta, delta.Stride, sum, sum.Stride, weight, y, y.Stride, rstd, rstd.Stride, x.Rows, groups,
            weight.Cols,
            epsilon, wide);
    }

    private static int CheckRmsNorm(TensorView x, TensorView weight, TensorView y, TensorView rstd)
    {
        CheckActivation(x);
        CheckLike(y, x);
        Guard.Type(weight, x.DType);
        if (weight.Rows != 1 || weight.Cols == 0 || x.Cols % weight.Cols != 0)
        {
            throw new ShapeException($"weight: expected [1, D] with D a divisor of {x.Cols}, got {weight}");
        }

        Guard.Type(rstd, DType.F32);
        Guard.Shape(rstd, x.Rows, x.Cols / weight.Cols);
        return x.Cols / weight.Cols;
    }

    private static LaunchShape RmsNormGrid(long units, bool blocks)
    {
        const int WarpsPerBlock = RmsNormThreads / 32;
        return LaunchShape.Of(blocks ? units : (units + WarpsPerBlock - 1) / WarpsPerBlock, RmsNormThreads);
    }
}
