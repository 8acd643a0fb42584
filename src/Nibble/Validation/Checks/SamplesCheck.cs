namespace Nibble.Validation.Checks;

/// <summary>A text the model generated.</summary>
/// <param name="Prompt">What it was asked.</param>
/// <param name="Text">What it said, without the terminator.</param>
/// <param name="Tokens">Tokens generated.</param>
/// <param name="Terminated">Whether it stopped by itself, before the token limit.</param>
public sealed record GeneratedSample(string Prompt, string Text, int Tokens, bool Terminated);

/// <summary>The model says something and stops by itself; what it says is shown for people to judge.</summary>
/// <param name="generate">Loads base and adapter and generates.</param>
/// <param name="mustTerminate">Whether samples that all run into the token limit fail the check or only warn.</param>
public sealed class SamplesCheck(Func<IReadOnlyList<GeneratedSample>> generate, bool mustTerminate = true) : ICheck
{
    /// <inheritdoc/>
    public string Name => "samples";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        var samples = generate();
        var empty = samples.Count(s => string.IsNullOrWhiteSpace(s.Text));
        var endless = samples.Count(s => !s.Terminated);
        var status = samples.Count == 0 || empty > 0 ? CheckStatus.Fail
            : endless == samples.Count && mustTerminate ? CheckStatus.Fail
            : endless > 0 ? CheckStatus.Warn
            : CheckStatus.Pass;
        yield return new Finding(
            Name,
            status,
            "texts that are not empty and end by themselves",
            $"{samples.Count} samples, {empty} empty, {endless} cut at the token limit",
            string.Join("\n\n", samples.Select(
                s => $"> {s.Prompt}\n{s.Text}\n({s.Tokens} tokens, {(s.Terminated ? "ended" : "cut")})")));
    }
}
