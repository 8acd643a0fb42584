using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string ElementwiseFile = "Elementwise.cu";

    private readonly Kernel _add = new(ElementwiseFile, "add");
    private readonly Kernel _dropout = new(ElementwiseFile, "dropout");
    private readonly Kernel _convert = new(ElementwiseFile, "convert");
    private readonly Kernel _convertWide = new(ElementwiseFile, "convert_wide");

    /// <inheritdoc/>
    public void Add(TensorView x, TensorView y)
    {
        CheckActivation(y, nameof(y));
        CheckLike(x, y);
        if (y.Count == 0)
        {
            return;
        }

        var layout = new Layout(x, y);
        _context.Launch(
            _add, y.DType, layout.Grid(y.DType.Size()),
            x, layout.Stride(x), y, layout.Stride(y), layout.Rows, layout.Cols, layout.Wide);
    }

    /// <inheritdoc/>
    public void Convert(TensorView x, TensorView y, float scale = 1)
    {
        CheckFloating(x);
        CheckFloating(y);
        Guard.Shape(y, x.Rows, x.Cols);
        if (x.Count == 0)
        {
            return;
        }

        if (x.DType == y.DType && scale == 1)
        {
            CopyRows(x, y);
            return;
        }

        var layout = new Layout(x, y);
        var isTrainingPair = (x.DType, y.DType) is (DType.F32, DType.BF16) or (DType.BF16, DType.F32);
        if (isTrainingPair && Layout.IsWide(x) && Layout.IsWide(y) && layout.Cols % 8 == 0)
        {
            _context.Launch(
                _convertWide, ActivationType, Layout.Grid(x.Count / 8),
                x, layout.Stride(x), (int)x.DType, y, layout.Stride(y), layout.Rows, layout.Cols, scale);
        }
        else
        {
            _context.Launch(
                _convert, ActivationType, Layout.Grid(x.Count),
                x, layout.Stride(x), (int)x.DType, y, layout.Stride(y), (int)y.DType, layout.Rows, layout.Cols, scale);
        }
    }

    /// <inheritdoc/>
    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset, bool accumulate = false)
    {
        CheckActivation(x);
        CheckLike(y, x);
        if (probability is not (>= 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(probability), $"expected 0 <= p < 1, got {probability}");
        }

        if (x.Count == 0)
        {
            return;
        }

        // A whole number of runs to a row keeps every run's first index a multiple of 4.
        var wide = Layout.IsWide(x) && Layout.IsWide(y) && x.Cols % (16 / x.DType.Size()) == 0;
        _context.Launch(
            _dropout, x.DType, Layout.Grid(x, wide),
            x, x.Stride, y, y.Stride, x.Rows, x.Cols, probability, 1 - probability, key, stream, rowOffset, accumulate,
            wide);
    }

    private static void CheckFloating(TensorView view)
    {
        if (view.DType is not (DType.F64 or DType.F32 or DType.BF16 or DType.F16))
        {
            throw new ShapeException($"expected F64, F32, BF16 or F16, got {view}");
        }
    }
}
