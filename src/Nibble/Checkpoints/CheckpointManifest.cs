using System.Security.Cryptography;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>What a folder must contain.</summary>
public enum CheckpointKind
{
    /// <summary>A resumable <c>checkpoint-N</c>.</summary>
    Full,

    /// <summary>A <c>checkpoint-N</c> without optimizer state.</summary>
    ModelOnly,

    /// <summary>The result of a run, in the output folder itself.</summary>
    Final,
}

/// <summary>A file of a checkpoint.</summary>
/// <param name="Bytes">Length.</param>
/// <param name="Sha256">SHA-256, 64 lower-case hexadecimal digits.</param>
public sealed record ManifestEntry(long Bytes, string Sha256);

/// <summary><c>manifest.json</c>: every file of a checkpoint with length and hash; written last.</summary>
/// <param name="Kind">What the folder must contain.</param>
/// <param name="GlobalStep">Optimizer steps done.</param>
/// <param name="NibbleVersion">Version of Nibble that wrote it.</param>
/// <param name="Files">Files by their name in the folder.</param>
public sealed record CheckpointManifest(
    CheckpointKind Kind, int GlobalStep, string NibbleVersion, IReadOnlyDictionary<string, ManifestEntry> Files)
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "manifest.json";

    private const string Format = "nibble-checkpoint";
    private const int FormatVersion = 1;

    private static readonly Dictionary<string, CheckpointKind> _kinds = new(StringComparer.Ordinal)
    {
        ["full"] = CheckpointKind.Full,
        ["model_only"] = CheckpointKind.ModelOnly,
        ["final"] = CheckpointKind.Final,
    };

    /// <summary>Measures files and writes the manifest.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <param name="kind">What the folder contains.</param>
    /// <param name="globalStep">Optimizer steps done.</param>
    /// <param name="nibbleVersion">Version of Nibble.</param>
    /// <param name="names">Names of the files in the folder.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public static void Write(
        string folder, CheckpointKind kind, int globalStep, string nibbleVersion, IEnumerable<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        var files = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            var (bytes, sha) = Measure(Path.Combine(folder, name));
            files.Add(name, new Dictionary<string, object?> { ["bytes"] = bytes, ["sha256"] = sha });
        }

        AtomicFile.WriteAllText(Path.Combine(folder, FileName), PythonJson.Write(new Dictionary<string, object?>
        {
            ["format"] = Format,
            ["format_version"] = FormatVersion,
            ["kind"] = _kinds.First(k => k.Value == kind).Key,
            ["global_step"] = globalStep,
            ["nibble_version"] = nibbleVersion,
            ["files"] = files,
        }) + "\n");
    }

    /// <summary>Reads a manifest; the files themselves are not looked at.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="CheckpointException">It is absent, malformed, or names a file outside the folder.</exception>
    public static CheckpointManifest Read(string folder)
    {
        var fields = JsonFields.Read(Path.Combine(folder, FileName));
        var (format, version) = (fields.String("format"), fields.Int("format_version"));
        if (format != Format || version != FormatVersion)
        {
            throw new CheckpointException(
                fields.File, $"format {Format}, version {FormatVersion}", $"{format}, version {version}");
        }

        var kindName = fields.String("kind");
        if (!_kinds.TryGetValue(kindName, out var kind))
        {
            throw new CheckpointException(
                fields.File, $"a kind of {string.Join(", ", _kinds.Keys)}", $"'{kindName}'");
        }

        var files = new Dictionary<string, ManifestEntry>(StringComparer.Ordinal);
        var list = fields.Object("files");
        foreach (var pair in list.Element.EnumerateObject())
        {
            if (!IsPlainName(pair.Name))
            {
                throw new CheckpointException(fields.File, "names of files in the folder", $"'{pair.Name}'");
            }

            var entry = list.Object(pair.Name);
            var (bytes, sha) = (entry.Long("bytes"), entry.String("sha256"));
            if (bytes < 0 || sha.Length != 64 || !sha.All(char.IsAsciiHexDigitLower))
            {
                throw list.Wrong(pair.Name, "bytes from 0 and a SHA-256 of 64 lower-case digits", entry.Element);
            }

            files.Add(pair.Name, new ManifestEntry(bytes, sha));
        }

        return new CheckpointManifest(kind, fields.Int("global_step"), fields.String("nibble_version"), files);
    }

    /// <summary>Compares every file with its length and hash.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <returns>One mismatch per file: name, expected, found; empty when all agree.</returns>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public IReadOnlyList<(string Name, string Expected, string Found)> Mismatches(string folder)
    {
        var mismatches = new List<(string, string, string)>();
        foreach (var (name, entry) in Files.OrderBy(f => f.Key, StringComparer.Ordinal))
        {
            var path = Path.Combine(folder, name);
            var info = new FileInfo(path);
            if (!info.Exists)
            {
                mismatches.Add((name, $"{entry.Bytes} bytes", "no such file"));
            }
            else if (info.ResolveLinkTarget(returnFinalTarget: true) is null && info.Length != entry.Bytes)
            {
                mismatches.Add((name, $"{entry.Bytes} bytes", $"{info.Length} bytes"));
            }
            else if (Measure(path) is var (bytes, sha) && (bytes != entry.Bytes || sha != entry.Sha256))
            {
                mismatches.Add((name, $"sha256 {entry.Sha256}", $"sha256 {sha}"));
            }
        }

        return mismatches;
    }

    /// <summary>Whether a name is a file of the folder itself, on every platform.</summary>
    /// <param name="name">Name from a manifest or a caller.</param>
    internal static bool IsPlainName(string name) =>
        name.Length > 0 && name is not ("." or "..") && name.IndexOfAny(['/', '\\', ':', '\0']) < 0;

    private static (long Bytes, string Sha256) Measure(string path)
    {
        using var stream = new FileStream(
            path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        var sha = Convert.ToHexStringLower(SHA256.HashData(stream));
        return (stream.Position, sha);
    }
}
