using Nibble.Data;
using Nibble.Models.Decoder;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Logits of trained tokens, read in chunks, beside those of every position.</summary>
public sealed class ReadLogitsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(1000)]
    public void ReadLogits_OfSeveralRows_AreThoseOfTheTrainedPositions(int chunk)
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"));
        var batch = new Batch(Goldens.Rows("qwen2"));
        var vocabulary = tiny.Config.VocabularySize;
        var all = tiny.Decoder.Logits(batch, tiny.Arena);
        var mark = tiny.Arena.Used;
        var read = 0;
        tiny.Decoder.ReadLogits(batch, chunk, tiny.Arena, (first, logits) =>
        {
            Assert.Equal(read, first);
            for (var i = 0; i < logits.Length; i++, read += i % vocabulary == 0 ? 1 : 0)
            {
                var expected = all[(batch.TrainedPositions[first + (i / vocabulary)] * vocabulary) + (i % vocabulary)];

                // A product of other height may sum in another order: 256 products of F32.
                Assert.Equal(expected, logits.Span[i], 1e-4f);
            }
        });
        Assert.Equal(batch.TrainedTokens, read);
        Assert.Equal(mark, tiny.Arena.Used);
    }

    [Fact]
    public void ReadLogitsBytes_OfAPass_IsEnough()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen3"));
        var batch = new Batch(Goldens.Rows("qwen3"));
        var shape = DecoderModel.Shape(batch, 8, recomputedLayers: 0, backward: false);
        using var memory = backend.Allocate(
            DecoderModel.ReadLogitsBytes(tiny.Config, null, backend.ActivationType, shape));
        var calls = 0;
        tiny.Decoder.ReadLogits(batch, 8, new Arena(memory), (_, _) => calls++);
        Assert.Equal((batch.TrainedTokens + 7) / 8, calls);
    }
}
