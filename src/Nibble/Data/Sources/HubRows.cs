using System.Text.RegularExpressions;
using Nibble.Config;
using Nibble.Hub;

namespace Nibble.Data.Sources;

/// <summary>
/// Which files of a Hub data set are a <c>datasets</c> entry's rows, by their names alone. The rules are those that the
/// data-set library applies to a repository without settings of its own; such settings are not read, and no loading
/// script is ever run. Source: <c>huggingface/datasets src/datasets/data_files.py</c>.
/// </summary>
public static partial class HubRows
{
    private const string MainFolder = "data";

    // What the data-set library writes beside rows.
    private static readonly string[] NoRows =
    [
        "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json",
        "requirements.txt", "LICENSE.txt", "license.txt",
    ];

    private static readonly string[] Formats = ["json", "parquet", "csv", "text"];

    /// <summary>The files of an entry, in the order they are read.</summary>
    /// <param name="dataset">Entry: <c>data_files</c>, <c>name</c>, <c>split</c> and <c>ds_type</c> choose.</param>
    /// <param name="isTest">Whether it stands under <c>test_datasets</c>.</param>
    /// <param name="listing">The repository's files.</param>
    /// <exception cref="DatasetException">None are left, or several sets are.</exception>
    public static IReadOnlyList<HubFile> Select(DatasetOptions dataset, bool isTest, HubListing listing)
    {
        ArgumentNullException.ThrowIfNull(dataset);
        ArgumentNullException.ThrowIfNull(listing);
        if (dataset.DataFiles.Count > 0)
        {
            return [.. dataset.DataFiles.SelectMany(pattern => Matching(pattern, dataset, listing))];
        }

        var rows = Rows(listing).FindAll(file => dataset.FileFormat is null || dataset.FileFormat == FormatOf(file));
        if (rows.Count == 0)
        {
            throw Error(dataset, NoRowsIn(listing, dataset.FileFormat) + " Name files in data_files.");
        }

        rows = OfSplit(OfFormat(OfSubset(rows, dataset), dataset), dataset, isTest);
        RequireAllShards(rows, dataset, listing);
        return rows;
    }

    /// <summary>Every file of rows, of whatever split and set.</summary>
    /// <param name="listing">The repository's files.</param>
    /// <exception cref="DatasetException">There are none.</exception>
    public static IReadOnlyList<HubFile> All(HubListing listing)
    {
        ArgumentNullException.ThrowIfNull(listing);
        var rows = Rows(listing);
        return rows.Count > 0 ? rows : throw new DatasetException(
            $"{listing.Repository}: {NoRowsIn(listing, null)}");
    }

    private static List<HubFile> Rows(HubListing listing) =>
    [
        .. listing.Files.Where(file => FormatOf(file) is not null && !NoRows.Contains(file.Name)
            && !file.Path.Split('/').Any(part => part is ['.' or '_', ..])),
    ];

    private static string NoRowsIn(HubListing listing, string? format) =>
        $"expected a {format ?? "json, csv, txt or parquet"} file, found {Names(listing.Files)}. "
        + "No loading script of a repository is run.";

    private static List<HubFile> Matching(string pattern, DatasetOptions dataset, HubListing listing)
    {
        // As in the data-set library: ** crosses folders, * and ? do not.
        var expression = Regex.Escape(pattern).Replace("\\*\\*/", "(.*/)?", StringComparison.Ordinal)
            .Replace("\\*\\*", ".*", StringComparison.Ordinal).Replace("\\*", "[^/]*", StringComparison.Ordinal)
            .Replace("\\?", "[^/]", StringComparison.Ordinal);
        var whole = new Regex($@"\A{expression}\z", RegexOptions.None, TimeSpan.FromSeconds(1));
        var found = listing.Files.Where(file => whole.IsMatch(file.Path)).ToList();
        var nearest = NearestName.Find(pattern, listing.Files.Select(file => file.Path));
        return found.Count > 0 ? found : throw Error(
            dataset, $"expected data_files '{pattern}' in the repository, found none. "
            + (nearest is null ? "" : $"Did you mean '{nearest}'? ") + $"It has {Names(listing.Files)}.");
    }

    private static List<HubFile> OfSubset(List<HubFile> rows, DatasetOptions dataset)
    {
        if (dataset.Subset is { } name)
        {
            var named = rows.FindAll(file => file.Path.Split('/').SkipLast(1).Contains(name));
            return named.Count > 0 || (name == "default" && rows.TrueForAll(file => !IsElsewhere(file)))
                ? named.Count > 0 ? named : rows
                : throw Error(dataset, $"expected a folder for name: {name}, found none with rows; the folders are "
                    + $"{Folders(rows)}.");
        }

        var usual = rows.FindAll(file => !IsElsewhere(file));
        return usual.Count > 0 ? usual
            : rows.Select(TopFolder).Distinct().Count() == 1 ? rows
            : throw Error(dataset, $"the repository has several sets of rows, in the folders {Folders(rows)}. "
                + "Choose one with name.");
    }

    private static List<HubFile> OfFormat(List<HubFile> rows, DatasetOptions dataset)
    {
        // The same rows are often there twice, in two formats.
        var format = dataset.FileFormat ?? rows.GroupBy(file => FormatOf(file)!)
            .OrderByDescending(group => group.Count()).ThenBy(group => Array.IndexOf(Formats, group.Key)).First().Key;
        return rows.FindAll(file => FormatOf(file) == format);
    }

    private static List<HubFile> OfSplit(List<HubFile> rows, DatasetOptions dataset, bool isTest)
    {
        string[] wanted = dataset.Split is { } split ? [Canonical(split)] : isTest ? ["test", "validation"] : ["train"];
        foreach (var name in wanted)
        {
            var found = rows.FindAll(file => SplitName(file) == name);
            if (found.Count > 0)
            {
                return found;
            }
        }

        return rows.TrueForAll(file => SplitName(file) is null) && (dataset.Split is null || wanted[0] == "train")
            ? rows
            : throw Error(dataset, $"expected files of the split '{wanted[0]}', found "
                + $"{string.Join(", ", rows.Select(file => SplitName(file) ?? "files without one").Distinct())}. "
                + "Set split, or name files in data_files.");
    }

    // A cache filled by other programs may hold a part; training on it would be another run.
    private static void RequireAllShards(List<HubFile> rows, DatasetOptions dataset, HubListing listing)
    {
        foreach (var set in rows.Select(file => Shard().Match(Stem(file))).Where(match => match.Success)
            .GroupBy(match => (match.Groups["split"].Value, int.Parse(match.Groups["count"].ValueSpan))))
        {
            if (set.Count() != set.Key.Item2)
            {
                throw Error(dataset, $"expected {set.Key.Item2} files of '{set.Key.Item1}', found {set.Count()} "
                    + (listing.IsLocal ? $"in the cache ({listing.Folder})." : "in the repository."));
            }
        }
    }

    private static string? SplitName(HubFile file)
    {
        var shard = Shard().Match(Stem(file));
        if (shard.Success)
        {
            return Canonical(shard.Groups["split"].Value);
        }

        foreach (var part in file.Path.Split('/').Reverse())
        {
            if (DatasetFiles.SplitOf(part) is >= 0 and var index)
            {
                return DatasetFiles.SplitNames[index][0];
            }
        }

        return null;
    }

    private static string Canonical(string split) =>
        Array.Find(DatasetFiles.SplitNames, names => names.Contains(split))?[0] ?? split;

    private static bool IsElsewhere(HubFile file) => TopFolder(file) is not ("" or MainFolder) and var top
        && DatasetFiles.SplitOf(top) < 0;

    private static string TopFolder(HubFile file) =>
        file.Path.IndexOf('/') is >= 0 and var slash ? file.Path[..slash] : "";

    private static string Stem(HubFile file) => file.Name.Split('.')[0];

    private static string? FormatOf(HubFile file) => DatasetFiles.FormatOf(file.Name);

    private static string Folders(List<HubFile> rows) =>
        string.Join(", ", rows.Select(TopFolder).Where(folder => folder.Length > 0).Distinct().Take(20));

    private static string Names(IReadOnlyList<HubFile> files) => files.Count == 0
        ? "no file"
        : string.Join(", ", files.Take(12).Select(file => file.Path)) + (files.Count > 12 ? ", …" : "");

    private static DatasetException Error(DatasetOptions dataset, string problem) => new(
        $"{dataset.Path}{DatasetFiles.Where(dataset)}: {problem}");

    [GeneratedRegex(@"\A(?<split>.+)-\d{5}-of-(?<count>\d{5})(-[0-9a-f]{16})?\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Shard();
}
