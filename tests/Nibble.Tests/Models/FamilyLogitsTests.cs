using Nibble.Data;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Logits of every family against transformers in fp32.</summary>
public sealed class FamilyLogitsTests
{
    public static TheoryData<string> Models => ["qwen2", "qwen2-tied", "qwen3", "llama3", "llama2", "mistral"];

    [Theory]
    [MemberData(nameof(Models))]
    public void Logits_AgreeWithTransformers(string model)
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path(model));
        AssertLogits(tiny, model, Goldens.Rows(model));
    }

    [Fact]
    public void Logits_OfABitsandbytesFolder_AgreeWithTransformers()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2-bnb-nf4"));
        AssertLogits(tiny, "qwen2-bnb-nf4", Goldens.Rows("qwen2"));
    }

    [Fact]
    public void Logits_OfWeightsQuantizedOnLoad_EqualThoseOfTheBitsandbytesFolder()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"), FourBitCode.Nf4, nested: true);
        AssertLogits(tiny, "qwen2-bnb-nf4", Goldens.Rows("qwen2"));
    }

    // 1e-4 absolute on logits of about 1 to 3: fp32 sums of up to 384 products in another order, two layers deep.
    private static void AssertLogits(TinyModel tiny, string model, Sample[] rows)
    {
        using var golden = SafetensorsFile.Open(Goldens.Path(model, "golden_logits_fp32.safetensors"));
        for (var i = 0; i < rows.Length; i++)
        {
            var expected = golden.ReadSingle(golden.Get($"row{i}.logits"));
            var actual = tiny.Decoder.Logits(new Batch([rows[i]]), tiny.Arena);
            Assert.Equal(expected.Length, actual.Length);
            var worst = 0f;
            for (var e = 0; e < expected.Length; e++)
            {
                worst = Math.Max(worst, Math.Abs(expected[e] - actual[e]));
            }

            Assert.True(worst < 1e-4, $"{model} row {i}: largest difference {worst}");
        }
    }
}
