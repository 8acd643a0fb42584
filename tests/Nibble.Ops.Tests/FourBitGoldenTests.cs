using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>4-bit quantisation against bitsandbytes 0.50 on a card (<c>tests/goldens/nf4.safetensors</c>).</summary>
public sealed class FourBitGoldenTests
{
    private static readonly string[] Inputs =
        ["normal_fp32", "normal_bf16", "outliers_fp32", "zeros_block_fp32", "big_bf16", "tiny_fp32"];

    public static TheoryData<string, FourBitCode, string> Cases()
    {
        var data = new TheoryData<string, FourBitCode, string>();
        foreach (var backend in TestBackends.Cpus.Concat(TestBackends.Cards).Prepend("reference"))
        {
            foreach (var code in new[] { FourBitCode.Nf4, FourBitCode.Fp4 })
            {
                foreach (var input in Inputs)
                {
                    data.Add(backend, code, input);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Quantize_GoldenInput_GivesTheSameBytesAndScales(string backend, FourBitCode code, string input)
    {
        using var golden = Open();
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        var (x, key) = (Load(golden, tensors, $"input.{input}"), Key(code, input));
        var (codes, absMax) = Quantize(device, tensors, x, code);
        Assert.Equal(golden.ReadSingle(golden.Get($"{key}.sq.absmax")), tensors.Read<float>(absMax));
        CompareCodes(
            code, golden.ReadAll<byte>(golden.Get($"{key}.sq.packed")), tensors.Read<byte>(codes),
            golden.ReadSingle(golden.Get($"input.{input}")), tensors.Read<float>(absMax));
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Quantize_NestedGoldenInput_GivesTheSameCodes(string backend, FourBitCode code, string input)
    {
        using var golden = Open();
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        var (x, key) = (Load(golden, tensors, $"input.{input}"), Key(code, input));
        var (_, absMax) = Quantize(device, tensors, x, code);
        var (bytes, nested) =
            (tensors.Empty(DType.U8, 1, absMax.Cols), tensors.Empty(DType.F32, 1, (absMax.Cols + 255) / 256));
        var offset = device.QuantizeAbsMax(absMax, bytes, nested);

        // The offset is torch.mean: its order of summation is its own, so two units in the last place are granted; the
        // nested maxima are differences from it and move with it. The codes do not move in any golden.
        var expected = golden.ReadSingle(golden.Get($"{key}.dq.offset"))[0];
        Assert.InRange(offset, expected * (1 - 2.4e-7f), expected * (1 + 2.4e-7f));
        Assert.Equal(golden.ReadAll<byte>(golden.Get($"{key}.dq.absmax_u8")), tensors.Read<byte>(bytes));
        var (want, got) = (golden.ReadSingle(golden.Get($"{key}.dq.nested_absmax")), tensors.Read<float>(nested));
        for (var i = 0; i < want.Length; i++)
        {
            Assert.InRange(got[i], want[i] - 2.4e-7f * (want[i] + expected), want[i] + 2.4e-7f * (want[i] + expected));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Dequantize_GoldenCodes_GivesTheSameBits(string backend, FourBitCode code, string input)
    {
        using var golden = Open();
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        var key = Key(code, input);
        foreach (var nested in new[] { false, true })
        {
            var name = $"{key}.{(nested ? "dq" : "sq")}";
            var entry = golden.Get($"{name}.dequant");
            var matrix = new QuantizedMatrix(
                code, (int)entry.Shape[0], (int)entry.Shape[1], tensors.Row(
                    golden.ReadAll<byte>(golden.Get($"{name}.packed"))),
                nested
                    ? tensors.Row(golden.ReadAll<byte>(golden.Get($"{name}.absmax_u8")))
                    : tensors.Row(golden.ReadSingle(golden.Get($"{name}.absmax"))),
                nested ? tensors.Row(golden.ReadSingle(golden.Get($"{name}.nested_absmax"))) : TensorView.None,
                nested ? tensors.Row(golden.ReadSingle(golden.Get("nested_code"))) : TensorView.None,
                nested ? golden.ReadSingle(golden.Get($"{name}.offset"))[0] : 0);
            var y = tensors.Empty(entry.DType!.Value, matrix.Rows, matrix.Cols);
            device.Dequantize4Bit(matrix, y);
            Assert.Equal(
                Bytes(golden, entry), tensors.Read<byte>(new TensorView(y.Address, DType.U8, 1, (int)y.Bytes)));
        }
    }

    [Fact]
    public void SignedMap_Golden_IsTheTable()
    {
        using var golden = Open();
        Assert.Equal(golden.ReadSingle(golden.Get("nested_code")), CodeTables.Signed.ToArray());
    }

    // NF4: byte by byte. FP4's thresholds are simple fractions that BF16 weights hit exactly, and the card's reciprocal
    // is approximate: there, and only within two units in the last place of a threshold, a code may be the neighbour's.
    private static void CompareCodes(FourBitCode code, byte[] want, byte[] got, float[] x, float[] absMax)
    {
        if (code == FourBitCode.Nf4)
        {
            Assert.Equal(want, got);
            return;
        }

        for (var i = 0; i < x.Length; i++)
        {
            var shift = i % 2 == 0 ? 4 : 0;
            if (((want[i / 2] ^ got[i / 2]) >> shift & 15) != 0)
            {
                var scaled = Math.Abs(x[i] * (1 / absMax[i / QuantizedMatrix.BlockSize]));
                var nearest = CodeTables.Fp4Boundaries.ToArray().Min(b => Math.Abs(b - scaled));
                Assert.True(
                    nearest <= 2 * (MathF.BitIncrement(scaled) - scaled),
                    $"element {i}: scaled {scaled:G9} is {nearest:G3} from a threshold");
            }
        }
    }

    private static SafetensorsFile Open() =>
        SafetensorsFile.Open(Repository.PathTo("tests", "goldens", "nf4.safetensors"));

    private static string Key(FourBitCode code, string input) => $"{(code == FourBitCode.Nf4 ? "nf4" : "fp4")}.{input}";

    private static byte[] Bytes(SafetensorsFile file, SafetensorsEntry entry)
    {
        var bytes = new byte[entry.ByteCount];
        file.Read(entry, 0, bytes);
        return bytes;
    }

    private static TensorView Load(SafetensorsFile file, HostTensors tensors, string name)
    {
        var entry = file.Get(name);
        return tensors.From<byte>(entry.DType!.Value, (int)entry.Shape[0], (int)entry.Shape[1], Bytes(file, entry));
    }

    private static (TensorView Codes, TensorView AbsMax) Quantize(
        IBackend device, HostTensors tensors, TensorView x, FourBitCode code)
    {
        var codes = tensors.Empty(DType.U8, 1, (int)(x.Count + 1) / 2);
        var absMax = tensors.Empty(DType.F32, 1, QuantizedMatrix.BlockCount(x.Count));
        device.Quantize4Bit(x, code, codes, absMax);
        return (codes, absMax);
    }
}
