using System.Buffers;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Nibble.Tensors;

namespace Nibble.Hub;

/// <summary>One content on its way into the cache: appended to its partial file, checked, flushed, renamed.</summary>
/// <param name="connection">Requests.</param>
/// <param name="settings">Timeouts.</param>
/// <param name="cache">The repository's cache.</param>
/// <param name="listing">Repository and commit.</param>
/// <param name="file">The file.</param>
/// <param name="moved">Told bytes that came, negative when they are thrown away.</param>
internal sealed class BlobDownload(
    HubConnection connection, HubSettings settings, HubCache cache, HubListing listing, HubFile file,
    Action<long> moved)
{
    // Large enough that the system calls cost nothing beside the network, small enough for several files at once.
    private const int ChunkBytes = 1 << 18;

    private long _furthest;

    private HubRepository About => listing.Repository;

    /// <summary>Brings the content into the cache. The caller holds its lock.</summary>
    /// <param name="stop">Ends it; the partial file stays for the next attempt.</param>
    /// <exception cref="HubException">It cannot be had, or is not what the repository names.</exception>
    public async Task RunAsync(CancellationToken stop)
    {
        var partial = cache.Incomplete(file.Digest);
        Directory.CreateDirectory(Path.GetDirectoryName(partial)!);
        var start = HubCache.Length(partial) ?? 0;
        if (start > file.Size)
        {
            File.Delete(partial);
            start = 0;
        }

        moved(start);
        try
        {
            using (var handle = File.OpenHandle(
                partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read))
            {
                await FillAsync(handle, stop).ConfigureAwait(false);
                var digest = Digest(handle, stop);
                if (digest != file.Digest && start > 0)
                {
                    // What an earlier attempt left may be of another content: once more, from the first byte.
                    moved(-file.Size);
                    RandomAccess.SetLength(handle, 0);
                    await FillAsync(handle, stop).ConfigureAwait(false);
                    digest = Digest(handle, stop);
                }

                if (digest != file.Digest)
                {
                    RandomAccess.SetLength(handle, 0);
                    throw new HubException(
                        HubError.Checksum,
                        $"{About}: {file.Path}: expected content of digest {file.Digest}, found {digest}. It was "
                        + "thrown away; download it again, and if that fails look for a proxy that changes files.");
                }

                RandomAccess.FlushToDisk(handle);
            }

            File.Move(partial, cache.Blob(file.Digest), overwrite: true);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw new HubException(HubError.Storage, StorageException.Describe(partial, e).Message, e);
        }
    }

    private async Task FillAsync(SafeFileHandle handle, CancellationToken stop)
    {
        if (RandomAccess.GetLength(handle) < file.Size)
        {
            await connection.PersistAsync(
                async gained =>
                {
                    await AppendAsync(handle, gained, stop).ConfigureAwait(false);
                    return true;
                },
                stop).ConfigureAwait(false);
        }
    }

    private async Task AppendAsync(SafeFileHandle handle, Action gained, CancellationToken stop)
    {
        var position = RandomAccess.GetLength(handle);
        if (position == file.Size)
        {
            return;
        }

        var address = connection.Address(
            $"{About.Prefix}{About.Name}/resolve/{listing.Commit}/{HubPath.Escaped(file.Path)}");
        using var response = await connection.GetAsync(address, position, About, file.Path, stop).ConfigureAwait(false);
        if (position > 0 && !(response.StatusCode == HttpStatusCode.PartialContent
            && response.Content.Headers.ContentRange?.From == position))
        {
            // The server gives everything, or another part.
            if (response.StatusCode == HttpStatusCode.PartialContent)
            {
                throw Refusals.Odd(About, $"another part of {HubPath.Shown(file.Path)} than was asked for");
            }

            moved(-position);
            RandomAccess.SetLength(handle, 0);
            position = 0;
        }

        var body = await connection.WithinAsync(
            token => new ValueTask<Stream>(response.Content.ReadAsStreamAsync(token)),
            settings.DownloadTimeout, About, stop).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
            try
            {
                while (true)
                {
                    var read = await connection.WithinAsync(
                        token => body.ReadAsync(buffer.AsMemory(0, ChunkBytes), token),
                        settings.DownloadTimeout, About, stop).ConfigureAwait(false);
                    if (read == 0)
                    {
                        break;
                    }

                    if (position + read > file.Size)
                    {
                        moved(-position);
                        RandomAccess.SetLength(handle, 0);
                        throw WrongSize($"more than {file.Size}");
                    }

                    RandomAccess.Write(handle, buffer.AsSpan(0, read), position);
                    position += read;
                    moved(read);
                    if (position > _furthest)
                    {
                        _furthest = position;
                        gained();
                    }
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }

        if (position < file.Size)
        {
            throw Refusals.Broken(About, settings, $"{position} of {file.Size} bytes of {file.Path} came", null);
        }
    }

    private HubException WrongSize(string found) => new(
        HubError.Checksum,
        $"{About}: {file.Path}: expected {file.Size} bytes, found {found}. They were thrown away; try again.");

    // Of what the disk holds, whoever wrote it: parts may come from an earlier process.
    private string Digest(SafeFileHandle handle, CancellationToken stop)
    {
        var isGit = file.Digest.Length == 40;
        using var hash = IncrementalHash.CreateHash(isGit ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256);
        if (isGit)
        {
            hash.AppendData(Encoding.ASCII.GetBytes($"blob {file.Size}\0"));
        }

        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytes);
        try
        {
            var position = 0L;
            for (int read; (read = RandomAccess.Read(handle, buffer, position)) > 0; position += read)
            {
                stop.ThrowIfCancellationRequested();
                hash.AppendData(buffer, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
