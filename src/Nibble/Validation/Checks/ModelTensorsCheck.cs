using Nibble.Models;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Validation.Checks;

/// <summary>A whole model has every tensor of its base, with the same shape and type, and no other.</summary>
public sealed class ModelTensorsCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "tensors";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        if (subject.BaseModelFolder is not { } folder)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "the base model's folder", "none given", "names and shapes were not compared");
            yield break;
        }

        using var source = SafetensorsIndex.Open(folder);
        var tied = ModelConfig.Load(subject.Folder).TiedHead;

        // A tied head is the embedding table, whether or not the base also stores it.
        var expected = source.Names.Where(n => !(tied && n == ModelWeights.HeadName) && !SavedMatrix.IsState(n))
            .ToHashSet(StringComparer.Ordinal);
        var wrong = new List<string>();
        foreach (var entry in subject.Tensors.Values)
        {
            var known = expected.Remove(entry.Name);
            if (!known)
            {
                wrong.Add($"{entry}, which the base has not");
            }
            else if (SavedMatrix.IsSaved(source, entry.Name))
            {
                // Codes of a base in 4 bits have neither; the config tells the shape.
                continue;
            }
            else if (source.Get(entry.Name).Entry is var same
                && (same.Type != entry.Type || !same.Shape.AsSpan().SequenceEqual(entry.Shape)))
            {
                wrong.Add($"{entry}, in the base {same}");
            }
        }

        wrong.AddRange(expected.Select(n => $"no {n}"));
        yield return wrong.Count > 0
            ? new Finding(
                Name, CheckStatus.Fail, "the tensors of the base model", $"{wrong.Count} differ",
                Validator.Names(wrong))
            : new Finding(
                Name, CheckStatus.Pass, "the tensors of the base model",
                $"{subject.Tensors.Count} tensors, all of the same shape and type");
    }
}
