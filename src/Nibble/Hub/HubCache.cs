using Microsoft.Win32.SafeHandles;
using Nibble.Tensors;

namespace Nibble.Hub;

/// <summary>
/// A repository's part of the cache, laid out as the Hub's own Python client lays it out, so that either finds what
/// the other has downloaded:
/// <c>refs/REVISION</c> holds a commit, <c>blobs/DIGEST</c> a content, and
/// <c>snapshots/COMMIT/PATH</c> is a relative link to a blob, or the content itself where links cannot be made. Source:
/// <c>huggingface/huggingface_hub src/huggingface_hub/file_download.py</c>.
/// </summary>
internal sealed class HubCache
{
    private readonly string _locks;
    private readonly bool _withoutLinks;

    public HubCache(HubSettings settings, HubRepository repository)
    {
        var root = settings.CacheFolder;
        _withoutLinks = settings.WithoutLinks;
        var name = $"{repository.Plural}--{repository.Name.Replace("/", "--", StringComparison.Ordinal)}";
        Folder = Path.Combine(root, name);
        _locks = Path.Combine(root, ".locks", name);
    }

    /// <summary>The repository's folder.</summary>
    public string Folder { get; }

    /// <summary>Content by digest.</summary>
    public string Blob(string digest) => Path.Combine(Folder, "blobs", digest);

    /// <summary>The part of a content that is here.</summary>
    public string Incomplete(string digest) => Blob(digest) + ".incomplete";

    /// <summary>File that a process holds open while it writes a content. The lock is the operating system's own,
    /// which the Python client takes too.</summary>
    public string Lock(string digest) => Path.Combine(_locks, digest + ".lock");

    /// <summary>Folder of a commit's files.</summary>
    public string Snapshot(string commit) => Path.Combine(Folder, "snapshots", commit);

    /// <summary>The commit that a revision was when the Hub was last asked, or null.</summary>
    public string? Commit(string revision)
    {
        if (HubRepository.IsCommit(revision))
        {
            return Directory.Exists(Snapshot(revision)) ? revision : null;
        }

        var path = Path.Combine(Folder, "refs", InFolders(revision));
        var commit = File.Exists(path) ? File.ReadAllText(path).Trim() : "";
        return HubRepository.IsCommit(commit) && Directory.Exists(Snapshot(commit)) ? commit : null;
    }

    /// <summary>Notes which commit a revision is.</summary>
    public void Record(string revision, string commit)
    {
        Directory.CreateDirectory(Snapshot(commit));
        var path = Path.Combine(Folder, "refs", InFolders(revision));
        if (revision != commit && !(File.Exists(path) && File.ReadAllText(path) == commit))
        {
            AtomicFile.WriteAllText(path, commit);
        }
    }

    /// <summary>Files of a commit that are here, in the order of paths.</summary>
    public IReadOnlyList<HubFile> Files(string commit)
    {
        var snapshot = Snapshot(commit);
        return
        [
            .. Directory.EnumerateFiles(snapshot, "*", SearchOption.AllDirectories)
                .Select(path => (Name: Path.GetRelativePath(snapshot, path).Replace('\\', '/'), Size: Length(path)))
                .Where(file => file.Size is not null)
                .Select(file => new HubFile(file.Name, file.Size!.Value, ""))
                .OrderBy(file => file.Path, StringComparer.Ordinal),
        ];
    }

    /// <summary>Whether a file of a commit is here in its full length.</summary>
    public bool Has(string commit, HubFile file) =>
        Length(Path.Combine(Snapshot(commit), InFolders(file.Path))) == file.Size;

    /// <summary>Whether a content is here in its full length.</summary>
    public bool HasBlob(HubFile file) => Length(Blob(file.Digest)) == file.Size;

    /// <summary>Lets a file of a commit show a content.</summary>
    /// <param name="commit">Commit.</param>
    /// <param name="file">Path and digest.</param>
    /// <param name="isNew">Whether the content has just come, so that nothing else shows it.</param>
    public void Link(string commit, HubFile file, bool isNew)
    {
        var (blob, path) = (Blob(file.Digest), Path.Combine(Snapshot(commit), InFolders(file.Path)));
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        File.Delete(path);
        if (TryLink(path, Path.GetRelativePath(folder, blob)))
        {
            return;
        }

        // As in the Python client: what nothing else shows is moved, so that weights do not take their room twice.
        if (isNew)
        {
            File.Move(blob, path, overwrite: true);
        }
        else
        {
            AtomicFile.Copy(blob, path);
        }
    }

    // Links need a right on Windows, and a file system that has them.
    private bool TryLink(string path, string target)
    {
        try
        {
            return !_withoutLinks && File.CreateSymbolicLink(path, target) is not null;
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            return false;
        }
    }

    /// <summary>Bytes of a file, of what it points to when it is a link; null when there is none.</summary>
    public static long? Length(string path)
    {
        try
        {
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return RandomAccess.GetLength(handle);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            return null;
        }
    }

    /// <summary>Takes the lock of a content, or null when another process or thread has it.</summary>
    public SafeFileHandle? TryLock(string digest)
    {
        Directory.CreateDirectory(_locks);
        try
        {
            return File.OpenHandle(Lock(digest), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (IsHeld(e))
        {
            return null;
        }
    }

    // A sharing or locking violation of Windows; EWOULDBLOCK of Linux and of macOS.
    private static bool IsHeld(IOException e) =>
        OperatingSystem.IsWindows() ? (e.HResult & 0xFFFF) is 32 or 33 : e.HResult is 11 or 35;

    private static string InFolders(string path) => path.Replace('/', Path.DirectorySeparatorChar);
}
