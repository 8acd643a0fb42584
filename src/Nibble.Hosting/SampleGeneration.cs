using Nibble.Data;
using Nibble.Data.Tokenizers;
using Nibble.Generation;
using Nibble.Models;
using Nibble.Validation.Checks;

namespace Nibble.Hosting;

/// <summary>Text from evaluation rows: each row's masked prompt is continued.</summary>
public static class SampleGeneration
{
    /// <summary>Most tokens of a sample.</summary>
    public const int MaxNewTokens = 64;

    /// <summary>Ids that end a text: the tokenizer's EOS, the config's, and ChatML's end of turn.</summary>
    /// <param name="tokenizer">Tokenizer.</param>
    /// <param name="model">Architecture.</param>
    public static IReadOnlyCollection<int> Terminators(HfTokenizer tokenizer, ModelConfig model)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(model);
        var ids = new HashSet<int>(model.EosIds);
        int?[] ends = [tokenizer.EosId, tokenizer.TokenToId("<|im_end|>"), tokenizer.TokenToId("<|endoftext|>")];
        foreach (var id in ends)
        {
            if (id is { } known)
            {
                ids.Add(known);
            }
        }

        return ids;
    }

    /// <summary>Continues the prompts of rows that have one.</summary>
    /// <param name="session">Model on its device.</param>
    /// <param name="tokenizer">Tokenizer.</param>
    /// <param name="rows">Rows; the tokens before the first trained one are the prompt.</param>
    /// <param name="count">Most samples.</param>
    /// <param name="options">Length and sampling.</param>
    public static IReadOnlyList<GeneratedSample> FromRows(
        ModelSession session, HfTokenizer tokenizer, IReadOnlyList<Sample> rows, int count, SamplingOptions options)
    {
        ArgumentNullException.ThrowIfNull(session);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(options);
        var terminators = Terminators(tokenizer, session.Layout.Model);
        var generator = new Generator(session.Decoder, session.Layout.Model, session.Backend, session.Arena);
        var samples = new List<GeneratedSample>();
        foreach (var row in rows)
        {
            if (samples.Count == count)
            {
                break;
            }

            var prompt = row.InputIds.AsSpan(0, Math.Max(1, Array.FindIndex(row.Labels, l => l != Sample.Masked)));
            var result = generator.Continue(prompt, terminators, options);
            samples.Add(new GeneratedSample(
                tokenizer.Decode(prompt, skipSpecial: true),
                tokenizer.Decode([.. result.Ids], skipSpecial: true).Trim(), result.Ids.Count, result.Terminated));
        }

        return samples;
    }
}
