namespace Nibble.Validation.Checks;

/// <summary>No value is NaN or infinite.</summary>
public sealed class FiniteCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "finite";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var any = false;
        foreach (var facts in subject.Facts)
        {
            if (facts.FirstBad >= 0)
            {
                any = true;
                yield return new Finding(
                    Name,
                    CheckStatus.Fail,
                    "finite values",
                    $"{facts.NotANumber} NaN, {facts.Infinite} infinite, the first at element {facts.FirstBad}",
                    facts.Name);
            }
        }

        if (!any)
        {
            yield return new Finding(
                Name, CheckStatus.Pass, "finite values", $"all values of {subject.Facts.Count} tensors are finite");
        }
    }
}
