using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>Published vectors of the 4-bit and 8-bit formats, on the reference and the CPU.</summary>
public sealed class FormatVectorTests
{
    public static TheoryData<string> Backends() =>
        [.. TestBackends.Cpus.Concat(TestBackends.Cards).Prepend("reference")];

    [Theory]
    [MemberData(nameof(Backends))]
    public void Nf4_Ramp_GivesTheVector(string backend) => CheckNf4(
        backend, [.. Enumerable.Range(0, 64).Select(k => (k - 32) / 32f)], 1,
        "000001111111122222333344455566677788999aaabbbccccddddeeeeeeeffff");

    [Theory]
    [MemberData(nameof(Backends))]
    public void Nf4_Residues_GivesTheVector(string backend) => CheckNf4(
        backend, [.. Enumerable.Range(0, 64).Select(k => ((37 * k + 11) % 101 - 50) / 128f)], 0.390625f,
        "17e29f3b05d17e2af4c06d18e2a04c16e29f3b05d17e29f3c05d18e2af4c16e1");

    [Theory]
    [MemberData(nameof(Backends))]
    public void Nf4_OddCount_PadsWithTheCodeOfZero(string backend) =>
        CheckNf4(backend, [0.25f, -0.5f, 0.125f], 0.5f, "c0a7");

    [Theory]
    [MemberData(nameof(Backends))]
    public void Nf4_SingleZero_GivesCodeZeroAsOnACard(string backend) => CheckNf4(backend, [0f], 0, "00");

    [Theory]
    [MemberData(nameof(Backends))]
    public void Nf4_Residues_DequantiseToTheVector(string backend)
    {
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        var bytes = Convert.FromHexString("17e29f3b05d17e2af4c06d18e2a04c16e29f3b05d17e29f3c05d18e2af4c16e1");
        var y = tensors.Empty(DType.F32, 1, 64);
        device.Dequantize4Bit(
            new QuantizedMatrix(
                FourBitCode.Nf4, 1, 64, tensors.Row(bytes), tensors.Row([0.390625f]), TensorView.None,
                TensorView.None, 0),
            y);
        Assert.Equal(
            [0xbe8b3d12, 0x00000000, 0x3e909764, 0xbe52077b],
            tensors.Read<float>(y).Take(4).Select(BitConverter.SingleToUInt32Bits));
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void NestedAbsMax_FourBlocks_GivesTheVector(string backend)
    {
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        var (codes, nested) = (tensors.Empty(DType.U8, 1, 4), tensors.Empty(DType.F32, 1, 1));
        Assert.Equal(0.9375f, device.QuantizeAbsMax(tensors.Row([1f, 0.5f, 0.25f, 2f]), codes, nested));
        Assert.Equal("B02919FF", Convert.ToHexString(tensors.Read<byte>(codes)));
        Assert.Equal(1.0625f, tensors.Read<float>(nested)[0]);
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void AdamW_TwoSteps_GivesTheVector(string backend)
    {
        // The vector has three values; a tensor keeps 8-bit states from 4096 values on, so zeros follow.
        const int Count = OptimizerState.MinimumEightBitCount;
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        using var memory = device.Allocate(1 << 20);
        var slot = new ParameterSlot("p", 0, 1, Count, TensorView.None, 1, 1, true);
        var (master, gradient) = (tensors.Empty(DType.F32, 1, Count), tensors.Empty(DType.F32, 1, Count));
        Upload(device, master, [0.5f, -0.25f, 0.1f]);
        var parameters = new ParameterSet([slot], master, gradient);
        var state = OptimizerState.Allocate([slot], true, new Arena(memory));
        var norm = tensors.Row([1f]);
        void Step(int t, float[] g)
        {
            Upload(device, gradient, g);
            device.AdamW(parameters, state, new AdamWStep(1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, t, 0, true), norm);
        }

        // The vector's parameters are given to 1e-8; its maxima hold to the roundings of 1 - β and of a product (2e-7
        // and 1.3e-5 of 1 - β2).
        Step(1, [0.1f, -0.02f, 0.003f]);
        Near([0.498995010, -0.248997510, 0.098999015], tensors.Read<float>(master), 1.5e-8);
        Assert.Equal<byte>([255, 56, 166], tensors.Read<byte>(state.Codes1).Take(3));
        Assert.Equal<byte>([255, 84, 29], tensors.Read<byte>(state.Codes2).Take(3));
        Near([0.01], tensors.Read<float>(state.AbsMax1), 1e-8);
        Near([1e-5], tensors.Read<float>(state.AbsMax2), 2e-10);

        Step(2, [0.05f, 0.02f, -0.001f]);
        Near([0.498057850, -0.249034641, 0.098577907], tensors.Read<float>(master), 1.5e-8);
        Assert.Equal<byte>([255, 159, 160], tensors.Read<byte>(state.Codes1).Take(3));
        Assert.Equal<byte>([255, 101, 27], tensors.Read<byte>(state.Codes2).Take(3));
        Near([0.014], tensors.Read<float>(state.AbsMax1), 1e-8);
        Near([1.249e-5], tensors.Read<float>(state.AbsMax2), 2e-10);
    }

    [Fact]
    public void CodeTables_All_HaveThePublishedChecksums()
    {
        Assert.Equal(0xc471f81a, Crc32(MemoryMarshal.AsBytes(CodeTables.Values(FourBitCode.Nf4))));
        Assert.Equal(0x1b137aebu, Crc32(MemoryMarshal.AsBytes(CodeTables.Signed)));
        Assert.Equal(0xe871278f, Crc32(MemoryMarshal.AsBytes(CodeTables.Unsigned)));
    }

    private static void CheckNf4(string backend, float[] x, float absMax, string packed)
    {
        using var device = TestBackends.Open(backend);
        using var tensors = new HostTensors(device);
        var (codes, scales) = (tensors.Empty(DType.U8, 1, (x.Length + 1) / 2), tensors.Empty(DType.F32, 1, 1));
        device.Quantize4Bit(tensors.Row(x), FourBitCode.Nf4, codes, scales);
        Assert.Equal(packed, Convert.ToHexStringLower(tensors.Read<byte>(codes)));
        Assert.Equal(absMax, tensors.Read<float>(scales)[0]);
    }

    private static void Upload(IBackend device, TensorView view, float[] first)
    {
        var values = new float[view.Cols];
        first.CopyTo(values, 0);
        device.Upload(MemoryMarshal.AsBytes<float>(values), view);
    }

    private static void Near(double[] want, float[] got, double tolerance)
    {
        for (var i = 0; i < want.Length; i++)
        {
            Assert.InRange(got[i], want[i] - tolerance, want[i] + tolerance);
        }
    }

    // IEEE 802.3, bit by bit.
    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320 : crc >> 1;
            }
        }

        return ~crc;
    }
}
