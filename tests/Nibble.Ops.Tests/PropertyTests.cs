using CsCheck;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>What holds for any input.</summary>
public sealed class PropertyTests
{
    private static readonly Gen<float[]> Weights =
        Gen.Float[-1, 1].Array[1, 300].Select(Gen.Int[-30, 30], (x, e) => Array.ConvertAll(x, v => MathF.ScaleB(v, e)));

    public static TheoryData<string> Backends() => ["reference", .. TestBackends.Cpus];

    [Theory]
    [MemberData(nameof(Backends))]
    public void Nf4_RoundTrip_IsWithinHalfTheGapOfTheCode(string backend)
    {
        using var device = TestBackends.Open(backend);
        Weights.Sample(
            x =>
            {
                using var tensors = new HostTensors(device);
                var (codes, scales) = (tensors.Empty(DType.U8, 1, (x.Length + 1) / 2),
                    tensors.Empty(DType.F32, 1, QuantizedMatrix.BlockCount(x.Length)));
                device.Quantize4Bit(tensors.Row(x), FourBitCode.Nf4, codes, scales);
                var y = tensors.Empty(DType.F32, 1, x.Length);
                device.Dequantize4Bit(
                    new QuantizedMatrix(
                        FourBitCode.Nf4, 1, x.Length, codes, scales, TensorView.None, TensorView.None, 0), y);
                var (values, absMax) = (tensors.Read<float>(y), tensors.Read<float>(scales));
                for (var i = 0; i < x.Length; i++)
                {
                    Assert.True(
                        IsNearest(x[i], values[i], absMax[i / QuantizedMatrix.BlockSize]),
                        $"{x[i]:G9} became {values[i]:G9}");
                }
            },
            iter: 200, threads: 1);
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void Dropout_AnyCutIntoPasses_GivesTheSameMask(string backend)
    {
        using var device = TestBackends.Open(backend);
        Gen.Select(Gen.Int[1, 12], Gen.Int[1, 70], Gen.Int[0, 12], Gen.Float[0, 0.95f], Gen.ULong, Gen.ULong).Sample(
            (rows, cols, cut, p, key, stream) =>
            {
                cut = Math.Min(cut, rows);
                using var tensors = new HostTensors(device);
                var x = tensors.Row(Enumerable.Repeat(1f, rows * cols).ToArray()).Reshape(rows, cols);
                var (whole, parts) = (tensors.Empty(DType.F32, rows, cols), tensors.Empty(DType.F32, rows, cols));
                device.Dropout(x, whole, p, key, stream, 5);
                device.Dropout(x.RowRange(0, cut), parts.RowRange(0, cut), p, key, stream, 5);
                device.Dropout(x.RowRange(cut, rows - cut), parts.RowRange(cut, rows - cut), p, key, stream, 5 + cut);
                Assert.Equal(tensors.Read<float>(whole), tensors.Read<float>(parts));
            },
            iter: 200, threads: 1);
    }

    [Fact]
    public void Dropout_ManyElements_DropsTheGivenShare()
    {
        using var device = TestBackends.Open("reference");
        using var tensors = new HostTensors(device);
        var x = tensors.Row(Enumerable.Repeat(1f, 100_000).ToArray());
        var y = tensors.Empty(DType.F32, 1, 100_000);
        device.Dropout(x, y, 0.1f, 1, 2, 0);
        // Five standard deviations of a binomial: sqrt(100000 · 0.1 · 0.9) = 95.
        Assert.InRange(tensors.Read<float>(y).Count(v => v == 0), 10_000 - 475, 10_000 + 475);
    }

    // Nearest value of the code times absmax; u for the product and for the reciprocal, two more for the scaled value.
    private static bool IsNearest(float x, float y, float absMax)
    {
        var gap = double.PositiveInfinity;
        foreach (var value in CodeTables.Values(FourBitCode.Nf4))
        {
            gap = Math.Min(gap, Math.Abs(x - (double)value * absMax));
        }

        // The reciprocal of a subnormal maximum is infinite, as in the format's own kernel: such a block has no
        // promise.
        return absMax < 1.2e-38f || Math.Abs((double)x - y) <= gap + 4 * Math.Pow(2, -24) * absMax;
    }
}
