using Nibble.Checkpoints;

namespace Nibble.Validation.Checks;

/// <summary>The adapter's or the model's files are there, and every file of the manifest
/// has its length and hash.</summary>
public sealed class FilesCheck : ICheck
{
    /// <inheritdoc/>
    public string Name => "files";

    /// <inheritdoc/>
    public IEnumerable<Finding> Run(CheckpointSubject subject)
    {
        ArgumentNullException.ThrowIfNull(subject);
        string[] required = subject.IsModel
            ? [FullModelFiles.Config, .. subject.ModelFiles]
            : [AdapterFileNames.Config, AdapterFileNames.Weights];
        foreach (var name in required)
        {
            if (!File.Exists(Path.Combine(subject.Folder, name)))
            {
                yield return new Finding(Name, CheckStatus.Fail, name, "no such file", subject.Folder);
            }
        }

        var manifest = CheckpointManifest.Read(subject.Folder);
        foreach (var name in required)
        {
            if (!manifest.Files.ContainsKey(name))
            {
                yield return new Finding(
                    Name, CheckStatus.Fail, $"an entry for {name}", "none", CheckpointManifest.FileName);
            }
        }

        var mismatches = manifest.Mismatches(subject.Folder);
        foreach (var (name, expected, found) in mismatches)
        {
            yield return new Finding(Name, CheckStatus.Fail, expected, found, name);
        }

        if (mismatches.Count == 0)
        {
            yield return new Finding(
                Name,
                CheckStatus.Pass,
                $"{manifest.Files.Count} files as in the manifest",
                "all lengths and hashes agree",
                string.Join(", ", manifest.Files.Keys.Order(StringComparer.Ordinal)));
        }
    }
}
