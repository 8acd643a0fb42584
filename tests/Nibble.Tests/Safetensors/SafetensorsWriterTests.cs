using CsCheck;
using Nibble.Tensors;

namespace Nibble.Tests.Safetensors;

public sealed class SafetensorsWriterTests : IDisposable
{
    private static readonly Gen<(SafetensorsDeclaration Declaration, byte[] Bytes)> _tensor =
        from name in Gen.String[Gen.Char["ab.é\"\\\n"], 1, 6]
        from type in Gen.Enum<SafetensorsType>()
        from shape in Gen.Long[0, 5].Array[0, 4]
        let rounded = type.Bits() < 8 ? [.. shape, 4] : shape
        let count = (int)(rounded.Aggregate(1L, (a, b) => a * b) * type.Bits() / 8)
        from bytes in Gen.Byte.Array[count]
        select (new SafetensorsDeclaration(name, type, rounded), bytes);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Write_ThenRead_IsIdentity()
    {
        var metadata = Gen.Dictionary(Gen.String[Gen.Char["kl\u00fc"], 1, 4], Gen.String)[0, 3]
            .Where(d => d.Values.All(IsText));
        Gen.Select(_tensor.Array[0, 8], metadata).Sample(
            (tensors, strings) =>
            {
                var unique = tensors.DistinctBy(t => t.Declaration.Name).ToArray();
                var path = _folder[$"{Guid.NewGuid():N}.safetensors"];
                using (var writer = SafetensorsWriter.Create(path, unique.Select(t => t.Declaration), strings))
                {
                    // Last declared first, in two pieces: neither order nor cut may matter.
                    foreach (var (declaration, bytes) in unique.Reverse())
                    {
                        writer.Append(declaration.Name, bytes.AsSpan(0, bytes.Length / 2));
                        writer.Append(declaration.Name, bytes.AsSpan(bytes.Length / 2));
                    }

                    writer.Commit();
                }

                using var file = SafetensorsFile.Open(path);
                Assert.Equal(strings, file.Metadata);
                Assert.Equal(unique.Length, file.Tensors.Count);
                foreach (var (declaration, bytes) in unique)
                {
                    var entry = file.Get(declaration.Name);
                    Assert.Equal(declaration.Type, entry.Type);
                    Assert.Equal(declaration.Shape, entry.Shape);
                    Assert.Equal(bytes, file.ReadAll<byte>(entry));
                }
            },
            iter: 200,
            threads: 1);
    }

    [Theory]
    [InlineData("train-nf4-fp32-adamw8bit-all-linear/initial/adapter_model.safetensors")]
    [InlineData("train-nf4-bf16-adamw/final/adapter_model.safetensors")]
    [InlineData("qwen2/model.safetensors")]
    [InlineData("qwen2-bnb-nf4/model.safetensors")]
    [InlineData("qwen2/golden_logits_fp32.safetensors")]
    public void Write_TensorsOfTheReferenceLibrary_GivesTheSameBytes(string golden)
    {
        var source = Goldens.At(golden.Split('/'));
        using var file = SafetensorsFile.Open(source);
        var copy = _folder["copy.safetensors"];
        using (var writer = SafetensorsWriter.Create(
            copy,
            file.Tensors.Values.Select(e => new SafetensorsDeclaration(e.Name, e.Type, e.Shape)),
            file.Metadata))
        {
            foreach (var entry in file.Tensors.Values)
            {
                writer.Append(entry.Name, file.ReadAll<byte>(entry));
            }

            writer.Commit();
        }

        Assert.Equal(File.ReadAllBytes(source), File.ReadAllBytes(copy));
    }

    [Fact]
    public void Commit_IncompleteTensor_ThrowsAndLeavesTheOldFile()
    {
        File.WriteAllText(_folder["a.safetensors"], "old");
        using (var writer = SafetensorsWriter.Create(
            _folder["a.safetensors"], [new("a", SafetensorsType.F32, [2])]))
        {
            writer.Append("a", [1f]);
            var e = Assert.Throws<SafetensorsException>(writer.Commit);
            Assert.Equal("a", e.Tensor);
        }

        Assert.Equal("old", File.ReadAllText(_folder["a.safetensors"]));
        Assert.Equal(["a.safetensors"], Directory.GetFiles(_folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void Append_WrongTensorTypeOrLength_Throws()
    {
        using var writer = SafetensorsWriter.Create(
            _folder["a.safetensors"], [new("a", SafetensorsType.F32, [1]), new("b", SafetensorsType.U8, [4])]);
        Assert.Throws<SafetensorsException>(() => writer.Append("c", [1f]));
        Assert.Throws<SafetensorsException>(() => writer.Append("b", [1f]));
        Assert.Throws<SafetensorsException>(() => writer.Append("a", [1f, 2f]));
    }

    [Fact]
    public void Create_RepeatedOrReservedName_Throws()
    {
        var a = new SafetensorsDeclaration("a", SafetensorsType.U8, [1]);
        Assert.Throws<SafetensorsException>(() => SafetensorsWriter.Create(_folder["a.safetensors"], [a, a]));
        Assert.Throws<SafetensorsException>(
            () => SafetensorsWriter.Create(_folder["a.safetensors"], [a with { Name = "__metadata__" }]));
        Assert.Throws<SafetensorsException>(
            () => SafetensorsWriter.Create(_folder["a.safetensors"], [a with { Shape = [-1] }]));
        Assert.Empty(Directory.GetFiles(_folder.Path));
    }

    // A lone surrogate is no text: JSON cannot carry it.
    private static bool IsText(string s)
    {
        for (var i = 0; i < s.Length; i++)
        {
            if (char.IsSurrogate(s[i]))
            {
                return false;
            }
        }

        return true;
    }
}
