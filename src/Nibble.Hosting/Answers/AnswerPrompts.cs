using Nibble.Data;
using Nibble.Data.Tokenizers;

namespace Nibble.Hosting.Answers;

/// <summary>The question and the answer of an evaluation row.</summary>
/// <param name="Origin">Where the row came from.</param>
/// <param name="Prompt">Token ids before the answer, at least one.</param>
/// <param name="Reference">The answer's text, trimmed, special tokens left out.</param>
public sealed record AnswerPrompt(string Origin, int[] Prompt, string Reference)
{
    /// <summary>
    /// Splits rows at their last assistant turn: the answer is the last run of trained tokens, the prompt is everything
    /// before it, as the training format wrote it.
    /// </summary>
    /// <param name="rows">Tokenised rows.</param>
    /// <param name="tokenizer">Tokenizer of the rows.</param>
    /// <exception cref="DatasetException">A row trains on its prompt as well, or on nothing:
    /// there is nothing to ask.</exception>
    public static IReadOnlyList<AnswerPrompt> FromRows(IReadOnlyList<Sample> rows, HfTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(rows);
        ArgumentNullException.ThrowIfNull(tokenizer);
        return [.. rows.Select(row => Split(row, tokenizer))];
    }

    private static AnswerPrompt Split(Sample row, HfTokenizer tokenizer)
    {
        var end = Array.FindLastIndex(row.Labels, label => label != Sample.Masked) + 1;
        var start = end == 0 ? 0 : Array.FindLastIndex(row.Labels, end - 1, label => label == Sample.Masked) + 1;
        return start > 0
            ? new AnswerPrompt(
                row.Origin, row.InputIds[..start],
                tokenizer.Decode(row.InputIds.AsSpan(start, end - start), skipSpecial: true).Trim())
            : throw new DatasetException(
                $"{row.Origin}: expected a prompt that does not train and an answer that does, found "
                + $"{(end == 0 ? "no trained token" : "training from the first token on")}. "
                + "Answers need rows with turns (type: chat_template or alpaca) and train_on_inputs: false.");
    }
}
