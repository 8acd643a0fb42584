using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string LinearFile = "Linear.cu";
    private const int DecodedRows = 16;

    // Most tokens for which W is read once for all of them by a kernel that takes every token to registers.
    private const int DecodedTokens = 32;

    private readonly Kernel _linear4Bit8 = new(LinearFile, "linear_4bit", "TOKEN_TILES=1");
    private readonly Kernel _linear4Bit16 = new(LinearFile, "linear_4bit", "TOKEN_TILES=2");
    private readonly Kernel _linear4Bit32 = new(LinearFile, "linear_4bit", "TOKEN_TILES=4");

    /// <inheritdoc/>
    public void Linear(TensorView x, FrozenLinear weight, TensorView y)
    {
        CheckLinear(x, weight, y);
        if (y.Count == 0)
        {
            return;
        }

        var bias = weight.Bias;
        if (weight.Dense.IsNone && CanDecode(x, weight))
        {
            var first = 0;
            foreach (var part in weight.Quantized)
            {
                LaunchDecoded(
                    x, part, bias.IsNone ? bias : bias.ColRange(first, part.Rows), y.ColRange(first, part.Rows));
                first += part.Rows;
            }

            return;
        }

        if (!weight.Dense.IsNone || !TryFused(x, weight, y, false, false))
        {
            Multiply(new Product(x, false, Dense(weight, x.DType), true, y, bias, 1, false));
        }
    }

    /// <inheritdoc/>
    public void LinearBackward(TensorView dy, FrozenLinear weight, TensorView dx, bool accumulate)
    {
        CheckLinearBackward(dy, weight, dx);
        if (dx.Count > 0 && (!weight.Dense.IsNone || !TryFused(dy, weight, dx, true, accumulate)))
        {
            Multiply(new Product(dy, false, Dense(weight, dy.DType), false, dx, TensorView.None, 1, accumulate));
        }
    }

    private static void CheckLinear(TensorView x, FrozenLinear weight, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(weight);
        CheckActivation(x);
        Guard.Shape(x, x.Rows, weight.In);
        Guard.Type(y, x.DType);
        Guard.Shape(y, x.Rows, weight.Out);
        if (!weight.Bias.IsNone)
        {
            CheckActivation(weight.Bias, nameof(weight.Bias));
            Guard.Shape(weight.Bias, 1, weight.Out);
        }
    }

    private static void CheckLinearBackward(TensorView dy, FrozenLinear weight, TensorView dx)
    {
        ArgumentNullException.ThrowIfNull(weight);
        CheckActivation(dy, nameof(dy));
        Guard.Shape(dy, dy.Rows, weight.Out);
        Guard.Type(dx, dy.DType);
        Guard.Shape(dx, dy.Rows, weight.In);
    }

    private TensorView Dense(FrozenLinear weight, DType type)
    {
        if (!weight.Dense.IsNone)
        {
            return weight.Dense;
        }

        var scratch = DequantizationScratch;
        var bytes = (long)weight.Out * weight.In * type.Size();
        if (scratch.IsNone || scratch.Bytes < bytes || !scratch.IsContiguous)
        {
            throw new InvalidOperationException(
                $"expected a dequantization scratch of {bytes} bytes for a weight [{weight.Out}, {weight.In}], "
                + $"got {scratch}");
        }

        var dense = new TensorView(scratch.Address, type, weight.Out, weight.In);
        var first = 0;
        foreach (var part in weight.Quantized)
        {
            Dequantize4Bit(part, dense.RowRange(first, part.Rows));
            first += part.Rows;
        }

        return dense;
    }

    // A piece of 32 codes is one 16-byte load and has one scale; inputs are read 16 bytes at a time.
    private static bool CanDecode(TensorView x, FrozenLinear weight)
    {
        if (x.DType != DType.BF16 || x.Rows > DecodedTokens || weight.In % QuantizedMatrix.BlockSize != 0
            || !Layout.IsWide(x))
        {
            return false;
        }

        foreach (var part in weight.Quantized)
        {
            if (part.Codes.Address % 16 != 0)
            {
                return false;
            }
        }

        return true;
    }

    private void LaunchDecoded(TensorView x, QuantizedMatrix part, TensorView bias, TensorView y)
    {
        var kernel = x.Rows <= 8 ? _linear4Bit8 : x.Rows <= 16 ? _linear4Bit16 : _linear4Bit32;
        _context.Launch(
            kernel, DType.U8, LaunchShape.Of((part.Rows + DecodedRows - 1) / DecodedRows, 256),
            x, x.Stride, x.Rows, part.Codes, part.AbsMax, part.NestedAbsMax, part.NestedMap, part.Offset,
            _tables.Values(part.Code), bias, (int)bias.DType, y, y.Stride, part.Rows, part.Cols);
    }
}
