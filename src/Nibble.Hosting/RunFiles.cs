using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Data.Sources;
using Nibble.Hub;

namespace Nibble.Hosting;

/// <summary>Which files of a run are wanted here, and who hears of it.</summary>
public sealed record RunFilesOptions
{
    /// <summary>Also the base model's weights; without them its settings and tokenizer.</summary>
    public bool Weights { get; init; } = true;

    /// <summary>Also the rows of the data sets.</summary>
    public bool Rows { get; init; } = true;

    /// <summary>Ask nobody: take what the cache has.</summary>
    public bool CacheOnly { get; init; }

    /// <summary>Told about downloads, from one thread at a time, or null.</summary>
    public IProgress<HubProgress>? Progress { get; init; }

    /// <summary>One line per thing that stops nothing and should be seen.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>The Hub; null opens the one of the environment when it is needed.</summary>
    public HubClient? Hub { get; init; }
}

/// <summary>
/// Turns names on the Hub into folders: the one place that does. A name that exists on this machine stays what it is; a
/// name of the form <c>org/name</c> that does not is looked for in the Hub's cache and, unless that is forbidden,
/// downloaded. Doing it twice changes nothing.
/// </summary>
public static class RunFiles
{
    // Names with these endings are files of the user's own, mistyped or not there.
    private static readonly string[] RowEndings = [".json", ".jsonl", ".ndjson", ".csv", ".txt", ".parquet"];

    /// <summary>Finds every model and data set of a run.</summary>
    /// <param name="loaded">The config.</param>
    /// <param name="options">What is wanted; null wants everything.</param>
    /// <param name="stop">Ends a download; what has come stays for the next attempt.</param>
    /// <returns>The config with folders, and with commits in its resolved YAML.</returns>
    /// <exception cref="HubException">A name is neither here nor on the Hub, or cannot be had from there.</exception>
    /// <exception cref="Data.DatasetException">A data set has no files that fit its entry.</exception>
    public static LoadedConfig Find(
        LoadedConfig loaded, RunFilesOptions? options = null, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(loaded);
        using var search = new Search(options ?? new RunFilesOptions(), stop);
        var config = loaded.Config;
        var model = search.Model(config.BaseModel);
        var found = config with
        {
            BaseModel = model,
            Tokenizer = config.Tokenizer == config.BaseModel ? model : search.Tokenizer(config.Tokenizer),
            Data = config.Data with
            {
                Train = search.Datasets(config.Data.Train, isTest: false),
                Test = search.Datasets(config.Data.Test, isTest: true),
            },
        };
        return search.HasFound ? loaded.WithFiles(found) : loaded;
    }

    /// <summary>Finds one model.</summary>
    /// <param name="model">Its name.</param>
    /// <param name="options">What is wanted; null wants everything.</param>
    /// <param name="stop">Ends a download.</param>
    /// <exception cref="HubException">The name is neither here nor on the Hub, or cannot be had from there.</exception>
    public static ModelSource Find(
        ModelSource model, RunFilesOptions? options = null, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        using var search = new Search(options ?? new RunFilesOptions(), stop);
        return search.Model(model);
    }

    /// <summary>Fetches a repository, whatever folders of its name are here.</summary>
    /// <param name="repository">Model or data set; of a data set all rows are taken.</param>
    /// <param name="options">What is wanted; null wants everything.</param>
    /// <param name="stop">Ends a download.</param>
    /// <exception cref="HubException">It cannot be had.</exception>
    /// <exception cref="Data.DatasetException">A data set has no rows.</exception>
    public static HubListing Download(
        HubRepository repository, RunFilesOptions? options = null, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(repository);
        using var search = new Search(options ?? new RunFilesOptions(), stop);
        return search.Repository(repository);
    }

    /// <summary>The commit of the Hub that something was trained on, when it is another than the one at hand.</summary>
    /// <param name="model">The base model at hand.</param>
    /// <param name="trained">State of the run that trained it.</param>
    /// <returns>Commit, or null when it is the same or not known.</returns>
    public static string? OtherCommit(ModelSource model, RunState trained)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(trained);
        return model.Commit is not null && trained.Provenance.TryGetValue(CommitKey(model.Name), out var commit)
            && commit != model.Commit ? commit : null;
    }

    /// <summary>Under which name a run's provenance has a commit.</summary>
    internal static string CommitKey(string name) => $"commit of {name}";

    private static bool IsHere(string path) => Directory.Exists(path) || File.Exists(path);

    private static bool MayBeOnHub(string name) => HubRepository.IsName(name) && !IsHere(name);

    private sealed class Search(RunFilesOptions options, CancellationToken stop) : IDisposable
    {
        private HubClient? _own;

        public bool HasFound { get; private set; }

        private HubClient Hub => options.Hub ?? (_own ??= new HubClient());

        public HubListing Repository(HubRepository repository) => Listing(
            repository,
            repository.Kind == HubKind.Model ? BringModel : listing => Bring(listing, HubRows.All(listing)));

        public ModelSource Model(ModelSource source)
        {
            long? missing = source.MissingWeightBytes;
            var found = Source(source, "base_model", listing =>
            {
                BringModel(listing);
                missing = options.Weights ? null : Missing(listing);
            });
            return found with { MissingWeightBytes = missing };
        }

        public ModelSource Tokenizer(ModelSource source) =>
            Source(source, "tokenizer_config", listing => Bring(listing, ModelFiles.OfTokenizer(listing)));

        public IReadOnlyList<DatasetOptions> Datasets(IReadOnlyList<DatasetOptions> entries, bool isTest)
        {
            var key = isTest ? "test_datasets" : "datasets";
            return options.Rows ? [.. entries.Select((entry, i) => Rows(entry, isTest, $"{key}.{i}.path"))] : entries;
        }

        public void Dispose() => _own?.Dispose();

        private ModelSource Source(ModelSource source, string key, Action<HubListing> bring)
        {
            if (source.Commit is not null || !MayBeOnHub(source.Name))
            {
                if (source is { Revision: not null, Commit: null })
                {
                    options.Warn(
                        $"revision_of_model: {source.Revision} has no effect: {source.Name} is a folder here.");
                }

                return source;
            }

            var listing = Ask(HubKind.Model, source.Name, source.Revision, key, bring);
            return source with { Folder = listing.Folder, Commit = listing.Commit };
        }

        private DatasetOptions Rows(DatasetOptions entry, bool isTest, string key)
        {
            if (entry.HubFiles is not null || !MayBeOnHub(entry.Path)
                || Array.Exists(RowEndings, end => entry.Path.EndsWith(end, StringComparison.OrdinalIgnoreCase)))
            {
                return entry;
            }

            IReadOnlyList<HubFile> files = [];
            var listing = Ask(HubKind.Dataset, entry.Path, entry.Revision, key, found =>
            {
                files = HubRows.Select(entry, isTest, found);
                Bring(found, files);
            });
            return entry with
            {
                HubFiles = [.. files.Select(file => Path.Combine(listing.Folder, file.Path))],
                Commit = listing.Commit,
            };
        }

        private HubListing Ask(HubKind kind, string name, string? revision, string key, Action<HubListing> bring)
        {
            try
            {
                var listing = Listing(HubRepository.Of(kind, name, revision), bring);
                HasFound = true;
                return listing;
            }
            catch (HubException e)
            {
                throw e.Error == HubError.RepositoryNotFound
                    ? new HubException(
                        e.Error,
                        $"{key}: {name}: expected a folder here or a name on the Hub, found no such folder in "
                        + $"{Directory.GetCurrentDirectory()}{Nearest(name)}; and {e.Message}", e)
                    : new HubException(e.Error, $"{key}: {e.Message}", e);
            }
        }

        private HubListing Listing(HubRepository repository, Action<HubListing> bring)
        {
            var listing = Complete(repository, bring) ?? List(repository);
            bring(listing);
            return listing;
        }

        private void BringModel(HubListing listing)
        {
            Bring(listing, ModelFiles.Small(listing));
            if (options.Weights)
            {
                Bring(listing, ModelFiles.Weights(listing));
            }
        }

        // Repositories without weights that may be read are refused here, before anybody waits for anything.
        private static long? Missing(HubListing listing)
        {
            try
            {
                var bytes = ModelFiles.Weights(listing)
                    .Where(file => !File.Exists(Path.Combine(listing.Folder, file.Path))).Sum(file => file.Size);
                return bytes == 0 ? null : bytes;
            }
            catch (HubException e) when (e.Error == HubError.Offline)
            {
                return 0;
            }
        }

        // A commit never changes: when all of it is here, nobody needs to be asked.
        private HubListing? Complete(HubRepository repository, Action<HubListing> bring)
        {
            if (!repository.IsPinned || repository.Kind != HubKind.Model || Hub.Cached(repository) is not { } cached)
            {
                return null;
            }

            try
            {
                bring(cached);
                return cached;
            }
            catch (HubException)
            {
                return null;
            }
        }

        private HubListing List(HubRepository repository)
        {
            if (options.CacheOnly)
            {
                return Hub.Cached(repository) ?? throw new HubException(
                    HubError.Offline,
                    $"{repository} is not in the cache ({Hub.Settings.CacheFolder}), and was not to be downloaded.");
            }

            try
            {
                return Hub.ListAsync(repository, stop).GetAwaiter().GetResult();
            }
            catch (HubException e) when (e.Error == HubError.Network && Hub.Cached(repository) is { } cached)
            {
                options.Warn($"{e.Message} What the cache has of it is used, commit {cached.Commit}.");
                return cached;
            }
        }

        private void Bring(HubListing listing, IReadOnlyList<HubFile> files) =>
            Hub.DownloadAsync(listing, files, options.Progress, stop).GetAwaiter().GetResult();

        private static string Nearest(string name)
        {
            var folder = Path.GetDirectoryName(name);
            var (place, last) = Directory.Exists(folder) ? (folder, Path.GetFileName(name)) : (".", name.Split('/')[0]);
            var names = Directory.EnumerateFileSystemEntries(place).Select(path => Path.GetFileName(path)!).Order();

            // Of a short name every other is near.
            return last.Length > 3 && NearestName.Find(last, names) is { } nearest
                ? $" (did you mean '{Path.Combine(place == "." ? "" : place, nearest)}'?)"
                : "";
        }
    }
}
