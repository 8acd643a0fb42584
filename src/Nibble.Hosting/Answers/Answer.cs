namespace Nibble.Hosting.Answers;

/// <summary>What a model answers to an evaluation row, beside the row's own answer.</summary>
/// <param name="Origin">Where the row came from: <c>val.jsonl:12</c>.</param>
/// <param name="Prompt">What the model read, special tokens included.</param>
/// <param name="Reference">The row's answer, trimmed.</param>
/// <param name="Text">The model's answer, trimmed, the terminator not included.</param>
/// <param name="Tokens">Tokens of the model's answer.</param>
/// <param name="Terminated">Whether the model ended it (and not the limit).</param>
public sealed record Answer(string Origin, string Prompt, string Reference, string Text, int Tokens, bool Terminated)
{
    /// <summary>Whether answer and reference are the same text.</summary>
    public bool IsExact => string.Equals(Text, Reference, StringComparison.Ordinal);

    /// <summary>Whether the answer is a shell command and nothing else: <see cref="CommandText.IsCommand"/>, and the
    /// model ended it; a text that the limit cut is not known to be one.</summary>
    public bool IsCommand => Terminated && CommandText.IsCommand(Text);

    /// <summary>Whether answer and reference run the same program: <see cref="CommandText.Program"/>.</summary>
    public bool IsSameProgram =>
        CommandText.Program(Text) is { } program
        && string.Equals(program, CommandText.Program(Reference), StringComparison.Ordinal);
}
