using System.Globalization;
using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>B starts at zero: an adapter whose B are all zero has learned nothing, one zero B is worth a
/// look.</summary>
public sealed class TrainedCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "trained";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var b = subject.Facts.Where(f => LoraAdapter.ParseName(f.Name) is { IsA: false }).ToArray();
        var zero = b.Where(f => f.LargestMagnitude == 0 && f.FirstBad < 0).Select(f => f.Name).ToArray();
        if (b.Length == 0 || zero.Length == b.Length)
        {
            yield return new Finding(
                Name,
                CheckStatus.Fail,
                "B matrices that training has moved from zero",
                b.Length == 0 ? "no B matrices" : $"all {b.Length} are zero: the adapter changes nothing");
        }
        else if (zero.Length > 0)
        {
            yield return new Finding(
                Name,
                CheckStatus.Warn,
                "every B moved from zero",
                $"{zero.Length} of {b.Length} are zero",
                Validator.Names(zero));
        }
        else
        {
            var largest = b.Max(f => f.LargestMagnitude).ToString(CultureInfo.InvariantCulture);
            yield return new Finding(
                Name, CheckStatus.Pass, "every B moved from zero", $"all {b.Length}; largest magnitude {largest}");
        }
    }
}
