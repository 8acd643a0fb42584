using Nibble.Tensors;

namespace Nibble.Validation.Checks;

/// <summary>Training every weight has changed them: a matrix that is still the base's, bit by bit, is worth a look, and
/// a model of nothing else was not trained.</summary>
public sealed class ModelChangedCheck : ICheck
{
    private const int Piece = 1 << 16;

    /// <inheritdoc/>
    public string Name => "trained";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        if (subject.BaseModelFolder is not { } folder)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "the base model's folder", "none given",
                "whether training changed anything cannot be told");
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

        // An adapter leaves alone what it does not target: the embedding table at the least.
        var status = same.Count == matrices ? CheckStatus.Fail
            : same.Count > 0 && !subject.IsMerged ? CheckStatus.Warn
            : CheckStatus.Pass;
        yield return new Finding(
            Name, status, "matrices that training has changed",
            same.Count == 0 ? $"all {matrices} differ from the base" : $"{same.Count} of {matrices} are the base's",
            Validator.Names(same));
    }

    // Rows of the embedding table whose tokens never occurred may stay, so only the whole tensor
    // tells; the first piece usually does.
    private static bool Equal(
        CheckpointSubject subject, SafetensorsEntry entry, SafetensorsFile file, SafetensorsEntry original)
    {
        if (entry.ByteCount != original.ByteCount)
        {
            return false;
        }

        var (mine, theirs) = (new byte[Piece], new byte[Piece]);
        for (var at = 0L; at < entry.ByteCount; at += Piece)
        {
            var count = (int)Math.Min(Piece, entry.ByteCount - at);
            subject.Read(entry, at, mine.AsSpan(0, count));
            file.Read(original, at, theirs.AsSpan(0, count));
            if (!mine.AsSpan(0, count).SequenceEqual(theirs.AsSpan(0, count)))
            {
                return false;
            }
        }

        return true;
    }
}
