using Nibble.Tensors;

namespace Nibble.Validation.Checks;

/// <summary>Training every weight has changed them: a matrix that is still the base's, bit by bit, is worth a look, and a model
/// of nothing else was not trained.</summary>
public sealed class ModelChangedCheck : ICheck
{
    private const int Sample = 4096;

    /// <inheritdoc/>
    public string Name => "trained";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        if (subject.BaseModelFolder is not { } folder)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "the base model's folder", "none given", "whether training changed anything cannot be told");
            yield break;
        }

        using var source = SafetensorsIndex.Open(folder);
        var same = new List<string>();
        var matrices = 0;
        foreach (var entry in subject.Tensors.Values.Where(e => e.Shape.Length == 2 && source.Contains(e.Name)))
        {
            matrices++;
            var (file, original) = source.Get(entry.Name);
            if (Equal(subject, entry, file, original))
            {
                same.Add(entry.Name);
            }
        }

        var status = same.Count == matrices ? CheckStatus.Fail : same.Count > 0 ? CheckStatus.Warn : CheckStatus.Pass;
        yield return new Finding(
            Name, status, "matrices that training has changed",
            same.Count == 0 ? $"all {matrices} differ from the base" : $"{same.Count} of {matrices} are the base's",
            Validator.Names(same));
    }

    // The first and the last bytes: a step of Adam moves nearly every element of a matrix that has a gradient.
    private static bool Equal(CheckpointSubject subject, SafetensorsEntry entry, SafetensorsFile file, SafetensorsEntry original)
    {
        if (entry.ByteCount != original.ByteCount)
        {
            return false;
        }

        var take = (int)Math.Min(Sample, entry.ByteCount);
        var (mine, theirs) = (new byte[take], new byte[take]);
        foreach (var at in new[] { 0, entry.ByteCount - take })
        {
            subject.Read(entry, at, mine);
            file.Read(original, at, theirs);
            if (!mine.AsSpan().SequenceEqual(theirs))
            {
                return false;
            }
        }

        return true;
    }
}
