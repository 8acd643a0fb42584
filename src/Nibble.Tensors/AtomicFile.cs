using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Nibble.Tensors;

/// <summary>
/// A file that appears complete or not at all: bytes go to a temporary name in the same folder, <see cref="Commit"/>
/// flushes
/// them to the disk and renames. Disposing without a commit removes the temporary file; what a killed process leaves is
/// removed by <see cref="SweepStale"/>.
/// </summary>
public sealed class AtomicFile : IDisposable
{
    /// <summary>How every temporary name ends.</summary>
    public const string TemporarySuffix = ".nibble-tmp";

    private readonly string _temporary;
    private SafeFileHandle? _handle;
    private bool _committed;

    private AtomicFile(string path, string temporary, SafeFileHandle handle) =>
        (Path, _temporary, _handle) = (path, temporary, handle);

    /// <summary>The final name.</summary>
    public string Path { get; }

    /// <summary>Opens a temporary file beside the final name; the folder is created when absent.</summary>
    /// <param name="path">The final name; a file that is there stays until <see cref="Commit"/>.</param>
    /// <exception cref="StorageException">The folder does not accept the file.</exception>
    public static AtomicFile Create(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var full = System.IO.Path.GetFullPath(path);
        var folder = System.IO.Path.GetDirectoryName(full)
            ?? throw new ArgumentException($"expected the path of a file, found the root {path}", nameof(path));
        var temporary = TemporaryName(full);
        try
        {
            Directory.CreateDirectory(folder);

            // The exclusive share is a lock that dies with the process: it tells live temporaries from stale ones.
            return new AtomicFile(
                full, temporary, File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None));
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(full, e);
        }
    }

    /// <summary>Writes a whole file.</summary>
    /// <param name="path">The final name.</param>
    /// <param name="bytes">Its content.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public static void WriteAllBytes(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = Create(path);
        file.Write(0, bytes);
        file.Commit();
    }

    /// <summary>Writes a whole file in UTF-8 without a byte order mark.</summary>
    /// <param name="path">The final name.</param>
    /// <param name="text">Its content.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public static void WriteAllText(string path, string text) => WriteAllBytes(path, Encoding.UTF8.GetBytes(text));

    /// <summary>Copies a file, byte for byte.</summary>
    /// <param name="source">File to copy.</param>
    /// <param name="path">The final name.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    /// <exception cref="IOException"><paramref name="source"/> could not be read.</exception>
    public static void Copy(string source, string path)
    {
        using var from = File.OpenHandle(source, options: FileOptions.SequentialScan);
        using var file = Create(path);
        var buffer = new byte[1 << 18];
        var position = 0L;
        for (int read; (read = RandomAccess.Read(from, buffer, position)) > 0; position += read)
        {
            file.Write(position, buffer.AsSpan(0, read));
        }

        file.Commit();
    }

    /// <summary>A name beside the final one that no other call of any process chooses.</summary>
    /// <param name="path">The final name.</param>
    public static string TemporaryName(string path)
    {
        var folder = System.IO.Path.GetDirectoryName(path) ?? "";
        var unique = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)[..12];
        return System.IO.Path.Combine(folder, $".{System.IO.Path.GetFileName(path)}.{unique}{TemporarySuffix}");
    }

    /// <summary>Removes temporary files of a folder that no living process holds open.</summary>
    /// <param name="folder">Folder to look in, not below; nothing happens when it is absent.</param>
    /// <returns>Names that were removed.</returns>
    public static IReadOnlyList<string> SweepStale(string folder)
    {
        var removed = new List<string>();
        if (!Directory.Exists(folder))
        {
            return removed;
        }

        foreach (var path in Directory.GetFiles(folder, ".*" + TemporarySuffix))
        {
            try
            {
                using (File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                {
                    File.Delete(path);
                }

                removed.Add(System.IO.Path.GetFileName(path));
            }
            catch (Exception e) when (StorageException.Concerns(e))
            {
                // Another process is writing it, or it may not be touched: either way it stays.
            }
        }

        return removed;
    }

    /// <summary>Writes at a position; pieces may come in any order.</summary>
    /// <param name="position">First byte.</param>
    /// <param name="bytes">What to write.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public void Write(long position, ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_handle is null, this);
        try
        {
            RandomAccess.Write(_handle, bytes, position);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(Path, e);
        }
    }

    /// <summary>Flushes to the disk and gives the file its final name, replacing an older one in one step.</summary>
    /// <exception cref="StorageException">It could not be written.</exception>
    public void Commit()
    {
        ObjectDisposedException.ThrowIf(_handle is null, this);
        try
        {
            RandomAccess.FlushToDisk(_handle);
            Close();
            File.Move(_temporary, Path, overwrite: true);
            _committed = true;
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(Path, e);
        }
    }

    /// <summary>Removes the temporary file unless it was committed.</summary>
    public void Dispose()
    {
        Close();
        if (!_committed)
        {
            try
            {
                File.Delete(_temporary);
            }
            catch (Exception e) when (StorageException.Concerns(e))
            {
                // The error that prevented the commit is on its way; the next sweep removes the rest.
            }
        }
    }

    private void Close()
    {
        _handle?.Dispose();
        _handle = null;
    }
}
