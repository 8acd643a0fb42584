namespace Nibble.Hub;

/// <summary>A file of a repository.</summary>
/// <param name="Path">Path in the repository, with forward slashes.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Digest">What the content is known by, in lower-case hexadecimal: its SHA-256 (64 digits) for large
/// files, git's SHA-1 of the blob (40 digits) for others; empty for a file that is known from the cache alone.</param>
public sealed record HubFile(string Path, long Size, string Digest)
{
    /// <summary>Name without its folders.</summary>
    public string Name => Path[(Path.LastIndexOf('/') + 1)..];
}

/// <summary>The files of a repository at one commit, and the folder where they are once they are here.</summary>
/// <param name="Repository">Repository and revision that were asked for.</param>
/// <param name="Commit">Commit that the revision is.</param>
/// <param name="Folder">Folder of the snapshot in the cache; it holds what has been downloaded.</param>
/// <param name="Files">Every file, in the order of paths; when <see cref="IsLocal"/>, those the cache has.</param>
/// <param name="IsLocal">Whether the Hub was not asked.</param>
public sealed record HubListing(
    HubRepository Repository, string Commit, string Folder, IReadOnlyList<HubFile> Files, bool IsLocal)
{
    /// <summary>The file of a path, or null.</summary>
    /// <param name="path">Path in the repository.</param>
    public HubFile? Find(string path) => Files.FirstOrDefault(file => file.Path == path);
}

/// <summary>How far a download is.</summary>
/// <param name="Repository">Name of the repository.</param>
/// <param name="Bytes">Bytes that are here, those of earlier attempts among them.</param>
/// <param name="TotalBytes">Bytes of all files that were missing at the start.</param>
/// <param name="Files">Files that are complete.</param>
/// <param name="TotalFiles">Files that were missing at the start.</param>
public readonly record struct HubProgress(string Repository, long Bytes, long TotalBytes, int Files, int TotalFiles);
