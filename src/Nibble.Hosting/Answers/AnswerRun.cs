using Nibble.Data.Tokenizers;
using Nibble.Generation;

namespace Nibble.Hosting.Answers;

/// <summary>Greedy answers to evaluation rows, several decoded side by side.</summary>
public static class AnswerRun
{
    /// <summary>Most tokens of the sequences decoded side by side: what their keys and values take.</summary>
    public const int GroupTokens = 16384;

    /// <summary>Most sequences side by side.</summary>
    public const int GroupSequences = 128;

    /// <summary>Most prompt tokens of a group, unless one prompt alone is longer.</summary>
    public const int GroupPromptTokens = 4096;

    /// <summary>What groups of these prompts take at most, for <see cref="AdapterRuntimeOptions"/>.</summary>
    /// <param name="prompts">Rows.</param>
    /// <param name="maxNewTokens">Most new tokens of an answer.</param>
    public static DecodingGroup Largest(IReadOnlyList<AnswerPrompt> prompts, int maxNewTokens)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        var groups = Groups(prompts, maxNewTokens)
            .Select(group => prompts.Skip(group.Start).Take(group.Count).ToList()).ToList();
        return new DecodingGroup(
            groups.Max(group => group.Sum(p => p.Prompt.Length)),
            groups.Max(group => group.Sum(p => p.Prompt.Length + maxNewTokens)),
            groups.Max(group => group.Count));
    }

    /// <summary>Answers rows.</summary>
    /// <param name="generator">Model; its arena holds <see cref="Largest"/>.</param>
    /// <param name="tokenizer">Tokenizer.</param>
    /// <param name="terminators">Ids that end an answer.</param>
    /// <param name="prompts">Rows.</param>
    /// <param name="maxNewTokens">Most new tokens of an answer.</param>
    /// <param name="progress">Told how many rows are done, or null.</param>
    /// <param name="cancellation">Throws between groups.</param>
    internal static IReadOnlyList<Answer> Greedy(
        Generator generator, HfTokenizer tokenizer, IReadOnlyCollection<int> terminators,
        IReadOnlyList<AnswerPrompt> prompts, int maxNewTokens, IProgress<int>? progress, CancellationToken cancellation)
    {
        var answers = new List<Answer>(prompts.Count);
        foreach (var (start, count) in Groups(prompts, maxNewTokens))
        {
            var rows = prompts.Skip(start).Take(count).ToList();
            var texts = generator.Continue(
                [.. rows.Select(r => r.Prompt)], terminators, new SamplingOptions(maxNewTokens),
                cancellation: cancellation);
            cancellation.ThrowIfCancellationRequested();
            answers.AddRange(rows.Zip(texts, (row, text) => new Answer(
                row.Origin, tokenizer.Decode(row.Prompt, skipSpecial: false), row.Reference,
                // Special tokens inside an answer are mistakes and stay visible.
                tokenizer.Decode([.. text.Ids], skipSpecial: false).Trim(),
                text.Ids.Count, text.Terminated)));
            progress?.Report(answers.Count);
        }

        return answers;
    }

    private static IEnumerable<(int Start, int Count)> Groups(IReadOnlyList<AnswerPrompt> prompts, int maxNewTokens)
    {
        var (start, asked, tokens) = (0, 0, 0);
        for (var i = 0; i < prompts.Count; i++)
        {
            var length = prompts[i].Prompt.Length;
            var isFull = i - start == GroupSequences || asked + length > GroupPromptTokens
                || tokens + length + maxNewTokens > GroupTokens;
            if (isFull && i > start)
            {
                yield return (start, i - start);
                (start, asked, tokens) = (i, 0, 0);
            }

            (asked, tokens) = (asked + length, tokens + length + maxNewTokens);
        }

        if (prompts.Count > start)
        {
            yield return (start, prompts.Count - start);
        }
    }
}

/// <summary>Sequences that are decoded side by side.</summary>
/// <param name="PromptTokens">Prompt tokens in all.</param>
/// <param name="TotalTokens">Tokens in all, new ones included.</param>
/// <param name="Sequences">How many.</param>
public readonly record struct DecodingGroup(int PromptTokens, int TotalTokens, int Sequences);
