using System.Text.Json;
using Nibble.Tensors;

namespace Nibble.Hub;

/// <summary>
/// Files of the Hugging Face Hub by name: found in the cache, or downloaded into it. The cache is shared with Python's
/// <c>huggingface_hub</c>. Nothing of a repository is ever run. Source of the interface:
/// <c>huggingface/huggingface_hub src/huggingface_hub/{hf_api,file_download}.py</c>.
/// </summary>
public sealed class HubClient : IDisposable
{
    private const int FilesAtOnce = 4;
    private const int MostPages = 1000;
    private const int LongestAnswer = 64 << 20;
    private static readonly TimeSpan _lockPause = TimeSpan.FromMilliseconds(200);

    private readonly HubConnection _connection;
    private readonly TimeProvider _time;

    /// <summary>Opens no connection yet.</summary>
    /// <param name="settings">Where the Hub and its cache are; null takes the environment's.</param>
    /// <param name="time">Clock, or null for the system's.</param>
    /// <exception cref="HubException">The environment's settings are wrong.</exception>
    public HubClient(HubSettings? settings = null, TimeProvider? time = null)
    {
        Settings = settings ?? HubSettings.FromEnvironment();
        _time = time ?? TimeProvider.System;
        _connection = new HubConnection(Settings, _time);
    }

    /// <summary>Where the Hub and its cache are.</summary>
    public HubSettings Settings { get; }

    /// <summary>What the cache has of a repository, without asking the Hub; null when it has nothing.</summary>
    /// <param name="repository">Repository and revision.</param>
    public HubListing? Cached(HubRepository repository)
    {
        ArgumentNullException.ThrowIfNull(repository);
        var cache = new HubCache(Settings, repository);
        return cache.Commit(repository.Revision) is { } commit
            ? new HubListing(repository, commit, cache.Snapshot(commit), cache.Files(commit), IsLocal: true)
            : null;
    }

    /// <summary>The files of a repository. Offline, those that the cache has.</summary>
    /// <param name="repository">Repository and revision.</param>
    /// <param name="stop">Ends the request.</param>
    /// <exception cref="HubException">There is no such repository or revision, it may not be read, the Hub cannot be
    /// reached, or the network must not be used and the cache has nothing.</exception>
    public async Task<HubListing> ListAsync(HubRepository repository, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        if (Settings.Offline)
        {
            return Cached(repository) ?? throw new HubException(
                HubError.Offline,
                $"{repository}: the {repository.Noun} is not in the cache ({Settings.CacheFolder}), and HF_HUB_OFFLINE "
                + "or TRANSFORMERS_OFFLINE forbids the network. Download it first where there is one, with "
                + $"nibble download {repository.Name}, or unset the variable.");
        }

        var api = $"api/{repository.Plural}/{repository.Name}";
        var commit = await AskAsync(
            _connection.Address($"{api}/revision/{Uri.EscapeDataString(repository.Revision)}"), repository,
            (answer, _) => answer.GetProperty("sha").GetString(), stop).ConfigureAwait(false);
        if (commit is null || !HubRepository.IsCommit(commit))
        {
            throw Refusals.Odd(repository, "no commit hash");
        }

        var files = new List<HubFile>();
        var next = _connection.Address($"{api}/tree/{commit}?recursive=true");
        for (var page = 0; next is not null; page++)
        {
            next = page < MostPages
                ? await AskAsync(next, repository, (answer, link) => Read(answer, link, files), stop)
                    .ConfigureAwait(false)
                : throw Refusals.Odd(repository, $"more than {MostPages} pages of files");
        }

        files.Sort((a, b) => string.CompareOrdinal(a.Path, b.Path));
        var cache = new HubCache(Settings, repository);
        try
        {
            cache.Record(repository.Revision, commit);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw new HubException(HubError.Storage, StorageException.Describe(cache.Folder, e).Message, e);
        }

        return new HubListing(repository, commit, cache.Snapshot(commit), files, IsLocal: false);
    }

    /// <summary>Brings files into the cache that are not there yet, several at once. A download that was cut off goes
    /// on where it stopped.</summary>
    /// <param name="listing">The repository's files.</param>
    /// <param name="files">Those that are wanted.</param>
    /// <param name="progress">Told now and then, or null.</param>
    /// <param name="stop">Ends it; what has come stays for the next attempt.</param>
    /// <returns>Folder that holds them under their paths.</returns>
    /// <exception cref="HubException">A file cannot be had or is not what the repository names, its path is not safe,
    /// or the disk has no room.</exception>
    public async Task<string> DownloadAsync(
        HubListing listing, IReadOnlyList<HubFile> files, IProgress<HubProgress>? progress = null,
        CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(listing);
        ArgumentNullException.ThrowIfNull(files);
        foreach (var file in files)
        {
            RequireSafe(listing.Repository, file);
        }

        var cache = new HubCache(Settings, listing.Repository);
        var missing = listing.IsLocal ? [] : files.Where(file => !cache.Has(listing.Commit, file)).ToList();
        if (missing.Count == 0)
        {
            return listing.Folder;
        }

        RequireRoom(listing, cache, missing);
        var count = new Count(listing.Repository.Name, missing, progress);
        var options = new ParallelOptions { MaxDegreeOfParallelism = FilesAtOnce, CancellationToken = stop };
        await Parallel.ForEachAsync(missing, options, async (file, token) =>
        {
            try
            {
                await BringAsync(cache, listing, file, count, token).ConfigureAwait(false);
            }
            catch (Exception e) when (StorageException.Concerns(e))
            {
                var path = cache.Blob(file.Digest);
                throw new HubException(HubError.Storage, StorageException.Describe(path, e).Message, e);
            }
        }).ConfigureAwait(false);
        return listing.Folder;
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    private async Task BringAsync(
        HubCache cache, HubListing listing, HubFile file, Count count, CancellationToken stop)
    {
        using var held = await LockAsync(cache, file, stop).ConfigureAwait(false);
        if (cache.Has(listing.Commit, file))
        {
            count.Move(file.Size);
        }
        else if (cache.HasBlob(file))
        {
            count.Move(file.Size);
            cache.Link(listing.Commit, file, isNew: false);
        }
        else
        {
            await new BlobDownload(_connection, Settings, cache, listing, file, count.Move).RunAsync(stop)
                .ConfigureAwait(false);
            cache.Link(listing.Commit, file, isNew: true);
        }

        count.Finish();
    }

    // The operating system offers no wait for the lock that the Python client understands.
    private async Task<IDisposable> LockAsync(HubCache cache, HubFile file, CancellationToken stop)
    {
        while (true)
        {
            if (cache.TryLock(file.Digest) is { } handle)
            {
                return handle;
            }

            await Task.Delay(_lockPause, _time, stop).ConfigureAwait(false);
        }
    }

    private Task<T> AskAsync<T>(
        Uri address, HubRepository about, Func<JsonElement, string?, T> read, CancellationToken stop) =>
        _connection.PersistAsync(
            async _ =>
            {
                using var response = await _connection.GetAsync(address, 0, about, null, stop).ConfigureAwait(false);
                var text = await _connection.WithinAsync(
                    async token =>
                    {
                        await response.Content.LoadIntoBufferAsync(LongestAnswer, token).ConfigureAwait(false);
                        return await response.Content.ReadAsByteArrayAsync(token).ConfigureAwait(false);
                    },
                    Settings.DownloadTimeout, about, stop).ConfigureAwait(false);
                try
                {
                    using var document = JsonDocument.Parse(text);
                    var link = response.Headers.TryGetValues("Link", out var links) ? links.FirstOrDefault() : null;
                    return read(document.RootElement, link);
                }
                catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException
                    or FormatException)
                {
                    throw Refusals.Odd(about, "an answer of another form");
                }
            },
            stop);

    // One page of the tree; the address of the next, or null.
    private Uri? Read(JsonElement answer, string? link, List<HubFile> files)
    {
        foreach (var entry in answer.EnumerateArray())
        {
            if (entry.GetProperty("type").GetString() != "file")
            {
                continue;
            }

            var isLarge = entry.TryGetProperty("lfs", out var large) && large.ValueKind == JsonValueKind.Object;
            var digest = (isLarge ? large : entry).GetProperty("oid").GetString() ?? "";
            var size = (isLarge ? large : entry).GetProperty("size").GetInt64();
            if (digest.Length != (isLarge ? 64 : 40) || !digest.All(char.IsAsciiHexDigitLower) || size < 0)
            {
                throw new FormatException("a digest or a size of another form");
            }

            files.Add(new HubFile(entry.GetProperty("path").GetString() ?? "", size, digest));
        }

        // <https://…?cursor=…>; rel="next"
        var (start, end) = (link?.IndexOf('<') ?? -1, link?.IndexOf('>') ?? -1);
        return start >= 0 && end > start && link!.Contains("rel=\"next\"", StringComparison.Ordinal)
            ? new Uri(_connection.Address(""), link[(start + 1)..end])
            : null;
    }

    private static void RequireSafe(HubRepository repository, HubFile file)
    {
        if (HubPath.Problem(file.Path) is { } problem)
        {
            throw new HubException(
                HubError.InvalidName,
                $"{repository}: expected a file inside the repository, found the path '{HubPath.Shown(file.Path)}': "
                + $"{problem}. It is not downloaded; do not use this repository.");
        }
    }

    private static void RequireRoom(HubListing listing, HubCache cache, IReadOnlyList<HubFile> missing)
    {
        var needed = missing.DistinctBy(file => file.Digest).Where(file => !cache.HasBlob(file))
            .Sum(file => Math.Max(0, file.Size - (HubCache.Length(cache.Incomplete(file.Digest)) ?? 0)));
        try
        {
            var free = new DriveInfo(Path.GetFullPath(listing.Folder)).AvailableFreeSpace;
            if (free < needed)
            {
                throw new HubException(
                    HubError.Storage,
                    $"{listing.Repository}: {needed} bytes are to be downloaded to {cache.Folder}, and the disk has "
                    + $"{free} free. Free space, or set HF_HUB_CACHE to a folder on another disk.");
            }
        }
        catch (Exception e) when (StorageException.Concerns(e) || e is ArgumentException)
        {
            // Not every file system says how much it has free; then the first write that fails does.
        }
    }

    /// <summary>Bytes and files of all downloads together.</summary>
    private sealed class Count(string repository, IReadOnlyList<HubFile> missing, IProgress<HubProgress>? progress)
    {
        private readonly long _total = missing.Sum(file => file.Size);
        private readonly Lock _lock = new();
        private long _bytes;
        private int _files;

        public void Move(long bytes) => Report(bytes, 0);

        public void Finish() => Report(0, 1);

        // Told in order: a later report never shows less than an earlier one.
        private void Report(long bytes, int files)
        {
            lock (_lock)
            {
                _bytes += bytes;
                _files += files;
                progress?.Report(new HubProgress(repository, _bytes, _total, _files, missing.Count));
            }
        }
    }
}
