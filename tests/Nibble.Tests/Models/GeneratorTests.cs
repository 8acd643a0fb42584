using Nibble.Data;
using Nibble.Generation;
using Nibble.Models.Decoder;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>Generation with cached keys, alone and side by side, against whole passes.</summary>
public sealed class GeneratorTests
{
    public static TheoryData<string> Models => ["qwen2", "qwen3", "mistral"];

    // 1e-4 absolute on logits of about 1 to 3: the same sums in another order, two layers deep.
    private const double Tolerance = 1e-4;

    [Theory]
    [MemberData(nameof(Models))]
    public void Append_OfSeveralSequences_GivesTheLogitsOfWholeRows(string model)
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path(model));
        int[][] rows = [.. Goldens.Rows(model).Select(r => r.InputIds)];
        var cache = new KvCache(tiny.Config, backend.ActivationType, [.. rows.Select(r => r.Length + 3)], tiny.Arena);
        var v = tiny.Config.VocabularySize;
        var logits = new float[rows.Length * v];

        // All but the last two tokens of every row, then one token of every second row, then what is left of each.
        tiny.Decoder.Append(
            [.. rows.SelectMany(r => r[..^2])], [.. rows.Select((r, i) => new CachedRun(i, r.Length - 2))], cache,
            tiny.Arena, logits);
        CachedRun[] some = [.. rows.Select((_, i) => new CachedRun(i, 1)).Where(r => r.Sequence % 2 == 1)];
        tiny.Decoder.Append([.. some.Select(r => rows[r.Sequence][^2])], some, cache, tiny.Arena, logits);
        tiny.Decoder.Append(
            [.. rows.SelectMany((r, i) => r[cache.Length(i)..])],
            [.. rows.Select((r, i) => new CachedRun(i, r.Length - cache.Length(i)))], cache, tiny.Arena, logits);

        for (var i = 0; i < rows.Length; i++)
        {
            var whole = tiny.Decoder.Logits(new Batch([new Sample(rows[i], rows[i], "row")]), tiny.Arena).AsSpan(^v..);
            var worst = 0f;
            for (var e = 0; e < v; e++)
            {
                worst = Math.Max(worst, Math.Abs(whole[e] - logits[(i * v) + e]));
            }

            Assert.True(worst < Tolerance, $"{model} row {i}: largest difference {worst}");
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Continue_OfSeveralPrompts_GivesWhatEachGivesAlone(string model)
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path(model));
        int[][] prompts = [.. Goldens.Rows(model).Select((r, i) => r.InputIds[..(3 + (2 * i))])];
        var generator = new Generator(tiny.Decoder, tiny.Config, backend, tiny.Arena);
        var sampling = new SamplingOptions(12);
        var free = prompts.Select(p => generator.Continue(p, [], sampling)).ToArray();
        // A token that ends one sequence early, so that the others go on beside the room it leaves.
        int[] terminators = [free[0].Ids[4]];

        var alone = prompts.Select(p => generator.Continue(p, terminators, sampling)).ToArray();
        var seen = new List<int>[prompts.Length];
        var together = generator.Continue(
            prompts, terminators, sampling, (i, token) => (seen[i] ??= []).Add(token));

        Assert.True(alone[0].Terminated);
        Assert.Equal(alone.Select(a => a.Ids), together.Select(t => t.Ids));
        Assert.Equal(alone.Select(a => a.Terminated), together.Select(t => t.Terminated));
        Assert.Equal(together.Select(t => t.Ids), seen.Select(s => s ?? []));
    }

    [Fact]
    public void Bytes_CoverAGroupExactly()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"));
        int[][] prompts = [[1, 2, 3], [4], [5, 6]];
        var bytes = Generator.Bytes(tiny.Config, null, backend.ActivationType, 6, 6 + (3 * 8), 3);
        using var memory = backend.Allocate(bytes);
        var generator = new Generator(tiny.Decoder, tiny.Config, backend, new Arena(memory));

        Assert.All(generator.Continue(prompts, [], new SamplingOptions(8)), r => Assert.Equal(8, r.Ids.Count));
    }

    [Fact]
    public void Append_BeyondASequencesRoom_SaysWhichAndHowMuch()
    {
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, Goldens.Path("qwen2"));
        var cache = new KvCache(tiny.Config, backend.ActivationType, [4, 2], tiny.Arena);

        var error = Assert.Throws<ArgumentException>(() => tiny.Decoder.Append(
            [1, 2, 3, 4], [new CachedRun(0, 1), new CachedRun(1, 3)], cache, tiny.Arena,
            new float[2 * tiny.Config.VocabularySize]));

        Assert.Contains("sequence 1: expected 1 to 2 tokens, got 3", error.Message);
    }
}
