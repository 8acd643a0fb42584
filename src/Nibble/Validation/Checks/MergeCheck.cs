using System.Globalization;
using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>A merged model came from an adapter that the gate let through, and was measured to be close enough to what
/// was trained.</summary>
public sealed class MergeCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "merge";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var report = MergeReport.Read(subject.Folder);
        if (report.Refusals.Count > 0)
        {
            yield return new Finding(
                Name, CheckStatus.Fail, "an adapter that passed the gate", "one that was merged against it",
                string.Join('\n', report.Refusals));
        }

        if (report.Measurement is not { } measured)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "measurements of the merged model", "none",
                $"merge again without --no-measure; {MergeReport.FileName}");
            yield break;
        }

        foreach (var verdict in measured.Verdicts)
        {
            yield return new Finding(
                Name, verdict.Passed ? CheckStatus.Pass : CheckStatus.Fail, verdict.Expected, verdict.Found,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{verdict.Name}, on {measured.Tokens} tokens ({measured.Rows}): {verdict.Reason}"));
        }
    }
}
