using Nibble.Checkpoints;
using Nibble.Data.Tokenizers;
using Nibble.Models;

namespace Nibble.Validation.Checks;

/// <summary>A whole model brings the tokenizer it was trained with: it loads, the embedding table has a row for each of
/// its ids, and its files are the ones the run used, byte by byte.</summary>
public sealed class TokenizerCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "tokenizer";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        var ids = HfTokenizer.Load(subject.Folder).VocabularySize;
        var rows = ModelConfig.Load(subject.Folder).VocabularySize;
        if (ids > rows)
        {
            yield return new Finding(
                Name, CheckStatus.Fail, $"at most {rows} ids, the rows of the embedding table", $"{ids} ids");
            yield break;
        }

        if (subject.TokenizerFolder is not { } folder)
        {
            yield return new Finding(
                Name, CheckStatus.Warn, "the folder of the tokenizer trained with", "none given",
                "the files were not compared");
            yield break;
        }

        var names = TokenizerFiles.Find(folder).Concat(TokenizerFiles.Find(subject.Folder))
            .Select(p => Path.GetFileName(p)).Distinct(StringComparer.Ordinal).ToArray();
        var different = names.Where(n => !Same(Path.Combine(folder, n), Path.Combine(subject.Folder, n))).ToArray();
        yield return different.Length > 0
            ? new Finding(
                Name, CheckStatus.Fail, $"the tokenizer's files as in {folder}",
                $"{different.Length} missing, added or changed", Validator.Names(different))
            : new Finding(
                Name, CheckStatus.Pass, $"the tokenizer's files as in {folder}", $"all {names.Length} are; {ids} ids");
    }

    private static bool Same(string a, string b) =>
        File.Exists(a) && File.Exists(b) && File.ReadAllBytes(a).AsSpan().SequenceEqual(File.ReadAllBytes(b));
}
