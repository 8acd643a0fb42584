using Nibble.Config;

namespace Nibble.Data.Sources;

/// <summary>Finds the files of a <c>datasets</c> entry and reads their rows.</summary>
internal static class DatasetFiles
{
    private static readonly string[] FileFormats = ["json", "csv", "text", "parquet"];

    internal static readonly string[][] SplitNames =
    [
        ["train", "training"], ["test", "testing", "eval", "evaluation"], ["validation", "valid", "val", "dev"],
    ];

    /// <summary>All rows of an entry, file after file.</summary>
    /// <param name="dataset">Entry.</param>
    /// <param name="isTest">Whether it stands under <c>test_datasets</c>.</param>
    /// <exception cref="DatasetException">A file is missing, empty, unreadable or malformed.</exception>
    public static IEnumerable<Row> Read(DatasetOptions dataset, bool isTest)
    {
        foreach (var file in Find(dataset, isTest))
        {
            var rows = 0L;
            foreach (var row in ReadFile(file, dataset.FileFormat ?? FormatOf(file) ?? "json"))
            {
                rows++;
                yield return row;
            }

            if (rows == 0)
            {
                throw new DatasetException($"{file}: the file has no rows{Where(dataset)}.");
            }
        }
    }

    /// <summary>The files of an entry, in order.</summary>
    /// <param name="dataset">Entry.</param>
    /// <param name="isTest">Whether it stands under <c>test_datasets</c>.</param>
    public static IReadOnlyList<string> Find(DatasetOptions dataset, bool isTest)
    {
        if (dataset.HubFiles is { } files)
        {
            return files;
        }

        if (File.Exists(dataset.Path))
        {
            return [dataset.Path];
        }

        // "path: json" with data_files is the data-set library's own way to name local files.
        var folder = !Directory.Exists(dataset.Path) && FileFormats.Contains(dataset.Path)
            && dataset.DataFiles.Count > 0
            ? string.Empty
            : dataset.Path;
        if (folder.Length > 0 && !Directory.Exists(folder))
        {
            throw Missing(dataset, folder);
        }

        if (dataset.DataFiles.Count > 0)
        {
            var named = dataset.DataFiles.Select(name => Path.Combine(folder, name)).ToList();
            return named.Find(name => !File.Exists(name)) is { } missing ? throw Missing(dataset, missing) : named;
        }

        var found = Directory.EnumerateFiles(folder)
            .Where(file => FormatOf(file) is not null)
            .Order(StringComparer.Ordinal).ToList();
        if (found.Count == 0)
        {
            throw new DatasetException(
                $"{folder}: the folder has no .jsonl, .json, .ndjson, .csv, .txt or .parquet file{Where(dataset)}. "
                + "Name files in data_files.");
        }

        return OfSplit(dataset, found, isTest);
    }

    private static List<string> OfSplit(DatasetOptions dataset, List<string> files, bool isTest)
    {
        if (files.TrueForAll(file => SplitOf(file) < 0))
        {
            return files;
        }

        var wanted = dataset.Split is null
            ? (isTest ? [1, 2] : new[] { 0 })
            : [Array.FindIndex(SplitNames, names => names.Contains(dataset.Split))];
        foreach (var split in wanted)
        {
            var found = files.FindAll(file => SplitOf(file) == split);
            if (found.Count > 0)
            {
                return found;
            }
        }

        throw new DatasetException(
            $"{dataset.Path}: no file is named after the split '{dataset.Split ?? SplitNames[wanted[0]][0]}'"
            + $"{Where(dataset)}; the folder has {string.Join(", ", files.Select(Path.GetFileName))}. "
            + "Set split, or name files in data_files.");
    }

    internal static int SplitOf(string file)
    {
        var words = Path.GetFileNameWithoutExtension(file).ToLowerInvariant().Split('-', '_', '.', ' ');
        return Array.FindIndex(SplitNames, names => Array.Exists(words, names.Contains));
    }

    /// <summary>What a file of rows is by its name, or null when the name does not say.</summary>
    internal static string? FormatOf(string file) => JsonRows.IsJson(file) ? "json"
        : Path.GetExtension(file).ToUpperInvariant() switch
        {
            ".CSV" => "csv",
            ".TXT" => "text",
            ".PARQUET" => "parquet",
            _ => null,
        };

    private static IEnumerable<Row> ReadFile(string file, string format) => format switch
    {
        "json" => JsonRows.Read(file),
        "csv" => TableRows.ReadCsv(file),
        "text" => TableRows.ReadText(file),
        "parquet" => ParquetRows.Read(file),
        _ => throw new DatasetException(
            $"{file}: ds_type '{format}' is not known; it is one of {string.Join(", ", FileFormats)}."),
    };

    private static DatasetException Missing(DatasetOptions dataset, string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path));
        while (folder is not null && !Directory.Exists(folder))
        {
            folder = Path.GetDirectoryName(folder);
        }

        var names = folder is null
            ? []
            : Directory.EnumerateFileSystemEntries(folder).Select(entry => Path.GetFileName(entry)!).Order().ToList();
        var nearest = NearestName.Find(Path.GetFileName(path), names);
        return new DatasetException(
            $"{path}: no such file or folder{Where(dataset)}. "
            + (nearest is null ? string.Empty : $"Did you mean '{nearest}'? ")
            + $"{folder} has {(names.Count == 0 ? "nothing" : string.Join(", ", names.Take(12)))}"
            + $"{(names.Count > 12 ? ", …" : string.Empty)}.");
    }

    internal static string Where(DatasetOptions dataset) =>
        dataset.ConfigLine > 0 ? $" (datasets entry on line {dataset.ConfigLine} of the config)" : string.Empty;
}
