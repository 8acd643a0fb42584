using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Nibble.Tensors;

namespace Nibble.Tests.Safetensors;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_FileOfPeft_ListsMetadataTypesAndShapes()
    {
        using var file = SafetensorsFile.Open(
            Goldens.At("train-nf4-bf16-adamw", "initial", "adapter_model.safetensors"));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(16, file.Tensors.Count);
        var entry = file.Get("base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight");
        Assert.Equal((SafetensorsType.F32, DType.F32), (entry.Type, entry.DType!.Value));
        Assert.Equal([128L, 8L], entry.Shape);
        Assert.All(file.ReadSingle(entry), v => Assert.InRange(v, -1f, 1f));
    }

    [Fact]
    public void ReadSingle_Bf16OfTorch_WidensExactly()
    {
        using var index = SafetensorsIndex.Open(Goldens.At("qwen2"));
        var (file, entry) = index.Get("model.layers.0.self_attn.q_proj.weight");
        Assert.Equal(SafetensorsType.BF16, entry.Type);
        var raw = file.ReadAll<ushort>(entry);
        var wide = index.ReadSingle(entry.Name);
        Assert.Equal(256 * 256, wide.Length);
        Assert.Equal(raw.Select(b => (uint)b << 16), wide.Select(BitConverter.SingleToUInt32Bits));
        Assert.Contains(wide, v => v != 0);
    }

    [Fact]
    public void ReadSingle_PieceOfF16AcrossChunks_EqualsTheWhole()
    {
        var values = Enumerable.Range(0, 700_000).Select(i => (Half)(i % 2048 - 1024)).ToArray();
        Write(new("h", SafetensorsType.F16, [values.Length]), MemoryMarshal.AsBytes<Half>(values));
        using var file = SafetensorsFile.Open(_folder["x.safetensors"]);
        var piece = new float[600_000];
        file.ReadSingle(file.Get("h"), 12_345, piece);
        Assert.Equal(values.Skip(12_345).Take(600_000).Select(v => (float)v), piece);
    }

    [Fact]
    public void Read_ManyThreads_SeeTheSameBytes()
    {
        var bytes = Enumerable.Range(0, 1 << 16).Select(i => (byte)(i * 7 >> 3)).ToArray();
        Write(new("b", SafetensorsType.U8, [bytes.Length]), bytes);
        using var file = SafetensorsFile.Open(_folder["x.safetensors"]);
        var entry = file.Get("b");
        Parallel.For(0, 64, i =>
        {
            var part = new byte[1000];
            file.Read(entry, i * 1000, part);
            Assert.Equal(bytes.AsSpan(i * 1000, 1000).ToArray(), part);
        });
    }

    [Fact]
    public void Read_BeyondTheTensor_Throws()
    {
        Write(new("b", SafetensorsType.U8, [8]), new byte[8]);
        using var file = SafetensorsFile.Open(_folder["x.safetensors"]);
        Assert.Throws<SafetensorsException>(() => file.Read(file.Get("b"), 4, new byte[5]));
        Assert.Throws<SafetensorsException>(() => file.Read(file.Get("b"), -1, new byte[1]));
        Assert.Throws<SafetensorsException>(() => file.ReadAll<float>(file.Get("b")));
        Assert.Throws<SafetensorsException>(() => file.ReadSingle(file.Get("b")));
        Assert.Throws<SafetensorsException>(() => file.Get("absent"));
    }

    [Fact]
    public void Open_EmptyShapesAndScalars_AreAllowed()
    {
        WriteRaw(
            "{\"z\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]},"
            + "\"s\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}  ",
            [0, 0, 128, 63]);
        using var file = SafetensorsFile.Open(_folder["x.safetensors"]);
        Assert.Empty(file.ReadSingle(file.Get("z")));
        Assert.Equal([1f], file.ReadSingle(file.Get("s")));
    }

    [Theory]
    [InlineData(1UL << 40)]
    [InlineData(ulong.MaxValue)]
    [InlineData(100_000_001UL)]
    public void Open_HugeHeaderLength_IsRefusedBeforeAllocation(ulong length)
    {
        var bytes = new byte[64];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        File.WriteAllBytes(_folder["x.safetensors"], bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var e = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(_folder["x.safetensors"]));

        // The exception and its message are all that may be allocated.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        Assert.Contains(length.ToString(), e.Found, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(20)]
    [InlineData(67)]
    public void Open_CutOffFile_SaysSo(int keep)
    {
        Write(new("a", SafetensorsType.F32, [2]), new byte[8]);
        var bytes = File.ReadAllBytes(_folder["x.safetensors"]);
        Assert.Equal(72, bytes.Length);
        File.WriteAllBytes(_folder["x.safetensors"], bytes[..keep]);
        var e = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(_folder["x.safetensors"]));
        Assert.Equal(_folder["x.safetensors"], e.File);
    }

    [Theory]
    [InlineData("[]", 0, "'{'")]
    [InlineData("{", 0, "JSON")]
    [InlineData("{} x", 0, "JSON")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "follow the last tensor")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "a gap")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}", 6, "an overlap")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[5,9]}}", 9, "a gap")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        + "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "second entry")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "second entry")]
    [InlineData("{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "'f32'")]
    [InlineData("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "Number")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "8 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "-1")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "-4")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "[4, 0]")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "[0]")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,4]}}", 4, "JSON")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[\"NaN\"],\"data_offsets\":[0,4]}}", 4, "NaN")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "1.5")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]}}", 4, "1e0")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":null,\"data_offsets\":[0,4]}}", 4, "Null")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape")]
    [InlineData("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "no dtype")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no data_offsets")]
    [InlineData("{\"a\":[1]}", 0, "StartArray")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],\"data_offsets\":[0,4]}}", 4, "63 bits")]
    [InlineData("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "whole bytes")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],"
        + "\"data_offsets\":[9223372036854775806,9223372036854775807]}}", 4, "inside the file")]
    [InlineData("{\"__metadata__\":{\"k\":1}}", 0, "a string for 'k'")]
    [InlineData("{\"__metadata__\":[]}", 0, "an object of strings")]
    [InlineData("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "second entry")]
    [InlineData("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "second entry")]
    [InlineData("{\"\\ud800\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "valid JSON strings")]
    public void Open_MalformedHeader_NamesWhatIsWrong(string header, int dataBytes, string message)
    {
        WriteRaw(header, new byte[dataBytes]);
        var e = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(_folder["x.safetensors"]));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
        Assert.StartsWith(_folder["x.safetensors"], e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_HeaderThatIsNotUtf8_SaysSo()
    {
        WriteRaw([(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)'}'], []);
        var e = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(_folder["x.safetensors"]));
        Assert.Contains("UTF-8", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_FieldsUnknownToTheFormat_AreIgnoredAsTheReferenceDoes()
    {
        WriteRaw("{\"a\":{\"x\":{\"y\":[1]},\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", [5]);
        using var file = SafetensorsFile.Open(_folder["x.safetensors"]);
        Assert.Equal([(byte)5], file.ReadAll<byte>(file.Get("a")));
    }

    [Fact]
    public void Types_NamesAndBits_RoundTrip()
    {
        foreach (var type in Enum.GetValues<SafetensorsType>())
        {
            Assert.True(SafetensorsTypes.TryParse(type.Name(), out var parsed));
            Assert.Equal(type, parsed);
            if (type.ToDType() is { } inMemory)
            {
                Assert.Equal(type, inMemory.ToSafetensors());
                Assert.Equal(type.Bits(), 8 * inMemory.Size());
            }
        }

        Assert.False(SafetensorsTypes.TryParse("f32", out _));
    }

    private void Write(SafetensorsDeclaration declaration, ReadOnlySpan<byte> bytes)
    {
        using var writer = SafetensorsWriter.Create(_folder["x.safetensors"], [declaration]);
        writer.Append(declaration.Name, bytes);
        writer.Commit();
    }

    private void WriteRaw(string header, byte[] data) => WriteRaw(Encoding.UTF8.GetBytes(header), data);

    private void WriteRaw(byte[] header, byte[] data)
    {
        var prefix = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(prefix, header.Length);
        File.WriteAllBytes(_folder["x.safetensors"], [.. prefix, .. header, .. data]);
    }
}
