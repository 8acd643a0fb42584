using System.Globalization;
using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>The rank of every tensor is the config's, and the scaling is a positive finite number.</summary>
public sealed class RankCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "rank";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var config = subject.Config;
        var wrong = new List<string>();
        foreach (var entry in subject.Weights.Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            if (LoraAdapter.ParseName(entry.Name) is var (_, isA)
                && (entry.Shape.Length != 2 || entry.Shape[isA ? 0 : 1] != config.Rank))
            {
                wrong.Add(entry.ToString());
            }
        }

        if (wrong.Count > 0)
        {
            yield return new Finding(
                Name, CheckStatus.Fail, $"rank {config.Rank} in every tensor", "another", Validator.Names(wrong));
        }

        var scaling = config.Scaling.ToString(CultureInfo.InvariantCulture);
        if (!double.IsFinite(config.Scaling) || config.Scaling <= 0)
        {
            yield return new Finding(Name, CheckStatus.Fail, "a positive scaling alpha / r", scaling);
        }
        else if (wrong.Count == 0)
        {
            yield return new Finding(
                Name, CheckStatus.Pass, $"rank {config.Rank} in every tensor", $"all agree; scaling {scaling}");
        }
    }
}
