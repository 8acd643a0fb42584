using Nibble.Data;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Logits of every family against transformers in fp32.</summary>
public sealed class FamilyLogitsTests
{
    public static MatrixTheoryData<string, string> Models => new(
        ["qwen2", "qwen2-tied", "qwen3", "llama3", "llama2", "mistral"], TestBackend.All);

    public static TheoryData<string> Backends => [.. TestBackend.All];

    [Theory]
    [MemberData(nameof(Models))]
    public void Logits_AgreeWithTransformers(string model, string device)
    {
        using var backend = TestBackend.Open(device);
        using var tiny = new TinyModel(backend, Goldens.Path(model));
        AssertLogits(tiny, model, Goldens.Rows(model));
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void Logits_OfABitsandbytesFolder_AgreeWithTransformers(string device)
    {
        using var backend = TestBackend.Open(device);
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2-bnb-nf4"));
        AssertLogits(tiny, "qwen2-bnb-nf4", Goldens.Rows("qwen2"));
    }

    [Theory]
    [MemberData(nameof(Backends))]
    public void Logits_OfWeightsQuantizedOnLoad_EqualThoseOfTheBitsandbytesFolder(string device)
    {
        using var backend = TestBackend.Open(device);
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"), FourBitCode.Nf4, nested: true);
        AssertLogits(tiny, "qwen2-bnb-nf4", Goldens.Rows("qwen2"));
    }

    // F32: 1e-4 absolute on logits of about 1 to 3, sums of up to 384 products in another order, two layers deep.
    // BF16: the stream is rounded about ten times a layer and dequantised weights once more, each by up to 2^-8 of a
    // value; over two layers and the head that walks to about 1 % of the logits' size, taken over a row.
    private static void AssertLogits(TinyModel tiny, string model, Sample[] rows)
    {
        using var golden = SafetensorsFile.Open(Goldens.Path(model, "golden_logits_fp32.safetensors"));
        for (var i = 0; i < rows.Length; i++)
        {
            var expected = golden.ReadSingle(golden.Get($"row{i}.logits"));
            var actual = tiny.Decoder.Logits(new Batch([rows[i]]), tiny.Arena);
            Assert.Equal(expected.Length, actual.Length);
            if (tiny.Backend.ActivationType == DType.BF16)
            {
                var relative = Difference.Relative(expected, actual);
                Assert.True(relative < 0.015, $"{model} row {i}: relative difference {relative}");
                continue;
            }

            var worst = 0f;
            for (var e = 0; e < expected.Length; e++)
            {
                worst = Math.Max(worst, Math.Abs(expected[e] - actual[e]));
            }

            Assert.True(worst < 1e-4, $"{model} row {i}: largest difference {worst}");
        }
    }
}
