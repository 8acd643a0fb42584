using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// A folder that appears complete or not at all: files go into a folder of a temporary name beside the final one, and
/// <see cref="Commit"/> renames it. Disposing without a commit removes what was written; what a killed process left is
/// removed when a folder of the same final name is created again.
/// </summary>
internal sealed class AtomicFolder : IDisposable
{
    private const string LockName = ".nibble.lock";

    private readonly FileStream _lock;
    private bool _committed;

    private AtomicFolder(string target, string temporary, FileStream @lock) =>
        (Target, Temporary, _lock) = (target, temporary, @lock);

    /// <summary>The final name, full path.</summary>
    public string Target { get; }

    /// <summary>Where files go until then.</summary>
    public string Temporary { get; }

    /// <summary>Makes the temporary folder.</summary>
    /// <param name="path">The final name; what is there stays until <see cref="Commit"/>.</param>
    /// <exception cref="StorageException">The folder above does not accept it.</exception>
    public static AtomicFolder Create(string path)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var temporary = AtomicFile.TemporaryName(target);
        try
        {
            Sweep(target);
            Directory.CreateDirectory(temporary);

            // The exclusive share dies with the process: it tells a living one's folder from a stale one.
            return new AtomicFolder(
                target, temporary,
                new FileStream(
                    Path.Combine(temporary, LockName), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1));
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(target, e);
        }
    }

    /// <summary>Gives the folder its final name; one that is there is replaced.</summary>
    /// <exception cref="StorageException">It could not be renamed; the one that was there is still there.</exception>
    public void Commit()
    {
        try
        {
            Unlock();
            Replace(Temporary, Target);
            _committed = true;
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(Target, e);
        }
    }

    /// <summary>Removes what was written unless it was committed.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        if (!_committed)
        {
            TryDelete(Temporary);
        }
    }

    /// <summary>Renames a folder over another, which goes only when that has worked.</summary>
    /// <param name="temporary">Folder to rename.</param>
    /// <param name="target">Its new name.</param>
    internal static void Replace(string temporary, string target)
    {
        if (!Directory.Exists(target))
        {
            Directory.Move(temporary, target);
            return;
        }

        var aside = AtomicFile.TemporaryName(target);
        Directory.Move(target, aside);
        try
        {
            Directory.Move(temporary, target);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            Directory.Move(aside, target);
            throw;
        }

        TryDelete(aside);
    }

    /// <summary>Deletes a folder of a temporary name, if that is possible now.</summary>
    /// <param name="folder">Folder; may be absent.</param>
    internal static void TryDelete(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            // It has a temporary name: the next start tries again.
        }
    }

    private void Unlock()
    {
        _lock.Dispose();
        File.Delete(Path.Combine(Temporary, LockName));
    }

    private static void Sweep(string target)
    {
        var parent = Path.GetDirectoryName(target);
        if (parent is null || !Directory.Exists(parent))
        {
            return;
        }

        foreach (var folder in Directory.GetDirectories(
            parent, $".{Path.GetFileName(target)}.*{AtomicFile.TemporarySuffix}"))
        {
            try
            {
                // Absent in a folder that is just being finished, held in one that is being written.
                using (new FileStream(
                    Path.Combine(folder, LockName), FileMode.Open, FileAccess.ReadWrite, FileShare.None, 1))
                {
                }

                TryDelete(folder);
            }
            catch (Exception e) when (StorageException.Concerns(e))
            {
                // Somebody's who lives.
            }
        }
    }
}
