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

internal static class QuantizeCases
{
    private static readonly Tolerance Exact = new(ToleranceClass.Exact);

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Matrices(0, 64, 1), .. Matrices(1, 1, 1), .. Matrices(3, 100, 1), .. Matrices(4, 64, 1),
        .. Matrices(5, 13, 1),
        .. Matrices(2, 64, 1e-30), .. Matrices(17, 192, 1e4), .. Matrices(128, 258, 0.02),
        .. Scales(1), .. Scales(4), .. Scales(255), .. Scales(256), .. Scales(257), .. Scales(3000),
    ];

    private static IEnumerable<OpCase> Matrices(int n, int k, double scale)
    {
        foreach (var code in new[] { FourBitCode.Nf4, FourBitCode.Fp4 })
        {
            var name = $"N={n} K={k} σ={scale} {code}";
            foreach (var type in new[] { DType.F32, DType.BF16, DType.F16 })
            {
                if (type != DType.F16 || scale is > 1e-6 and < 1e4)
                {
                    yield return new("Quantize4Bit", $"{name} from {type}", s => Quantise(s, n, k, scale, code, type));
                }
            }

            foreach (var nested in new[] { false, true })
            {
                foreach (var type in new[] { DType.F32, DType.BF16 })
                {
                    yield return new("Dequantize4Bit", $"{name}{(nested ? " nested" : "")} to {type}",
                        s => Dequantise(s, n, k, code, nested, type));
                }
            }
        }
    }

    private static OpCase[] Scales(int n) => [new("QuantizeAbsMax", $"blocks={n}", s => QuantiseScales(s, n))];

    private static void Quantise(OpScope s, int n, int k, double scale, FourBitCode code, DType type)
    {
        var values = s.Normal(n, k, scale);
        var x = s.Gapless(type, n, k, i => i / QuantizedMatrix.BlockSize == 1 ? 0 : values[i / k, i % k]);
        var codes = s.Output("codes", DType.U8, 1, (n * k + 1) / 2, Exact);
        var absMax = s.Gapless(DType.F32, 1, QuantizedMatrix.BlockCount((long)n * k), _ => double.NaN);
        s.Expect("absmax", absMax, Exact);
        s.Backend.Quantize4Bit(x, code, codes, absMax);
    }

    private static void QuantiseScales(OpScope s, int n)
    {
        var values = s.Normal(1, n, 0.01, 0.06);
        var absMax = s.Gapless(DType.F32, 1, n, i => Math.Abs(values[0, i]));
        var (codes, blocks) =
            (s.Fresh(DType.U8, 1, n), (n + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize);
        var nested = s.Gapless(DType.F32, 1, blocks, _ => double.NaN);
        if (n > 1)
        {
            // A single scale equals its mean: the difference is 0 and its code means nothing.
            s.Expect("codes", codes, new Tolerance(ToleranceClass.Codes));
        }

        s.Expect("nested absmax", nested, new Tolerance(ToleranceClass.Elementwise));
        s.Report("offset", s.Backend.QuantizeAbsMax(absMax, codes, nested), new Tolerance(ToleranceClass.Elementwise));
    }

    private static void Dequantise(OpScope s, int n, int k, FourBitCode code, bool nested, DType type)
    {
        var matrix = LinearCases.Matrix(s, n, k, code, nested);
        var y = s.Gapless(type, n, k, _ => double.NaN);
        s.Expect("y", y, Exact);
        s.Backend.Dequantize4Bit(matrix, y);
    }
}
