using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax)
    {
        Guard.Contiguous(x);
        var n = checked((int)x.Count);
        Guard.Shape(codes, 1, (n + 1) / 2);
        Guard.Shape(absMax, 1, QuantizedMatrix.BlockCount(n));
        var (xs, bytes, scales) = (At(x.Reshape(1, n)), At(codes), At(absMax));
        for (var start = 0; start < n; start += QuantizedMatrix.BlockSize)
        {
            var end = Math.Min(n, start + QuantizedMatrix.BlockSize);
            var max = 0f;
            for (var i = start; i < end; i++)
            {
                max = Math.Max(max, Math.Abs((float)xs[i]));
            }

            scales[start / QuantizedMatrix.BlockSize] = max;
            var reciprocal = 1 / max;
            for (var i = start; i < end; i += 2)
            {
                var high = NearestFourBit(code, (float)xs[i] * reciprocal);
                var low = NearestFourBit(code, i + 1 < n ? (float)xs[i + 1] * reciprocal : 0f * reciprocal);
                bytes[i / 2] = high << 4 | low;
            }
        }
    }

    /// <inheritdoc/>
    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        var n = absMax.Cols;
        Guard.Shape(absMax, 1, n);
        Guard.Shape(codes, 1, n);
        Guard.Shape(nestedAbsMax, 1, (n + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize);
        var (scales, bytes, nested) = (At(absMax), At(codes), At(nestedAbsMax));
        var sum = 0.0;
        for (var i = 0; i < n; i++)
        {
            sum += scales[i];
        }

        var offset = (float)(sum / n);
        for (var start = 0; start < n; start += QuantizedMatrix.NestedBlockSize)
        {
            var end = Math.Min(n, start + QuantizedMatrix.NestedBlockSize);
            var max = 0f;
            for (var i = start; i < end; i++)
            {
                max = Math.Max(max, Math.Abs((float)scales[i] - offset));
            }

            nested[start / QuantizedMatrix.NestedBlockSize] = max;
            for (var i = start; i < end; i++)
            {
                bytes[i] = CountBelow(CodeTables.SignedBoundaries, ((float)scales[i] - offset) * (1 / max));
            }
        }

        return offset;
    }

    /// <inheritdoc/>
    public void Dequantize4Bit(QuantizedMatrix x, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(x);
        Guard.Shape(y, x.Rows, x.Cols);
        Guard.Contiguous(y);
        var (values, ys) = (Dequantized(x), At(y.Reshape(1, x.Rows * x.Cols)));
        for (var i = 0; i < values.Length; i++)
        {
            ys[i] = values[i];
        }
    }

    private static float[] Dequantized(QuantizedMatrix x)
    {
        var (codes, absMax) = (At(x.Codes), At(x.AbsMax));
        var table = CodeTables.Values(x.Code);
        var values = new float[checked(x.Rows * x.Cols)];
        for (var i = 0; i < values.Length; i++)
        {
            var pair = codes.Int(i / 2);
            var code = i % 2 == 0 ? pair >> 4 : pair & 15;
            var block = i / QuantizedMatrix.BlockSize;
            values[i] = table[code] * (x.IsNested ? NestedScale(x, absMax.Int(block), block) : (float)absMax[block]);
        }

        return values;
    }

    private static float NestedScale(QuantizedMatrix x, int code, int block)
    {
        // Two statements, so that each operation is rounded to binary32.
        var product = (float)At(x.NestedMap)[code] * (float)At(x.NestedAbsMax)[block / QuantizedMatrix.NestedBlockSize];
        return product + x.Offset;
    }

    private static int NearestFourBit(FourBitCode code, float scaled)
    {
        if (code == FourBitCode.Nf4)
        {
            return CountBelow(CodeTables.Nf4Boundaries, scaled);
        }

        var index = CodeTables.Fp4Indices[CountBelow(CodeTables.Fp4Boundaries, Math.Abs(scaled))];
        return scaled < 0 ? index | 8 : index;
    }

    // NaN is above nothing: code 0.
    private static int CountBelow(ReadOnlySpan<float> boundaries, float value)
    {
        var count = 0;
        foreach (var boundary in boundaries)
        {
            count += value > boundary ? 1 : 0;
        }

        return count;
    }
}
