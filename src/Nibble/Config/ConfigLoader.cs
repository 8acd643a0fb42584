namespace Nibble.Config;

/// <summary>
/// Reads a run's YAML, with flags laid over it. Everything wrong is found in one pass and thrown together.
/// <para>
/// Paths of models, adapters, checkpoints and data sets are used as given when they exist from the working directory;
/// else, when they exist beside the config file, that is meant; else they stay as given. A path given as a flag is
/// always taken from the working directory, and so is <c>output_dir</c>.
/// </para>
/// </summary>
public static class ConfigLoader
{
    // The largest real configuration is a few kilobytes; a model file given by mistake must not be read to its end.
    private const long MaxBytes = 4 << 20;

    /// <summary>Reads a file.</summary>
    /// <param name="path">YAML file, UTF-8.</param>
    /// <param name="overrides">Flags; they win over the file.</param>
    /// <param name="lenient">Unknown keys of the file become warnings. Refused keys and flags stay errors.</param>
    /// <exception cref="ConfigException">The file is missing, is not YAML, or cannot run.</exception>
    public static LoadedConfig Load(string path, IReadOnlyList<ConfigOverride>? overrides = null, bool lenient = false)
    {
        ArgumentNullException.ThrowIfNull(path);
        byte[] bytes;
        try
        {
            var length = new FileInfo(path).Length;
            if (length > MaxBytes)
            {
                throw Unreadable($"{length} bytes are too many for a configuration; is this the right file?");
            }

            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            var folder = Directory.Exists(path);
            throw Unreadable(folder ? "this is a folder; name the YAML file in it." : "there is no such file.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw Unreadable($"cannot be read: {e.Message}");
        }

        return Parse(YamlTreeReader.Decode(bytes, path), path, overrides, lenient);

        ConfigException Unreadable(string problem) => new([new ConfigFinding { File = path, Problem = problem }]);
    }

    /// <summary>Reads a size as <c>gpu_memory_limit</c> does.</summary>
    /// <param name="text"><c>24GiB</c>, <c>24GB</c>, or a number of GiB.</param>
    /// <param name="bytes">Its bytes.</param>
    public static bool TryParseSize(string text, out long bytes)
    {
        ArgumentNullException.ThrowIfNull(text);
        return ScalarReader.TrySize(new ScalarNode(default, text, plain: true), out bytes);
    }

    /// <summary>Reads text.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="fileName">Name for messages; its folder is where relative paths are looked for second.</param>
    /// <param name="overrides">Flags; they win over the text.</param>
    /// <param name="lenient">Unknown keys of the text become warnings. Refused keys and flags stay errors.</param>
    /// <exception cref="ConfigException">The text is not YAML, or cannot run.</exception>
    public static LoadedConfig Parse(
        string text, string fileName, IReadOnlyList<ConfigOverride>? overrides = null, bool lenient = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(fileName);
        var checker = new ConfigChecker(fileName, lenient);
        var tree = YamlTreeReader.Read(text, fileName, checker.Errors);
        foreach (var flag in overrides ?? [])
        {
            OverrideLayer.Apply(tree, flag, checker.Errors);
        }

        var root = checker.CheckRoot(tree);
        var builder = new RunConfigBuilder(fileName, checker, root);
        var config = builder.Build();
        var keys = checker.Reports
            .Select(report => builder.Effects.TryGetValue(report.Key, out var effect)
                && report is { Status: KeyStatus.Honoured, Value.Length: > 0 }
                    ? report with { Effective = effect }
                    : report)
            .ToList();
        if (checker.Errors.Count > 0)
        {
            throw new ConfigException([.. InOrder(checker.Errors)], keys);
        }

        var sources = new Dictionary<string, string>();
        foreach (var report in keys.Where(report => report.Value.Length > 0))
        {
            sources[report.Key] = report.Source;
        }

        foreach (var (key, from) in builder.Derived)
        {
            sources.TryAdd(key, $"from {from}, {sources.GetValueOrDefault(from, "default")}");
        }

        return new LoadedConfig
        {
            Config = config,
            Keys = keys,
            Warnings = [.. InOrder(checker.Warnings)],
            Sources = sources,
            ResolvedYaml = ConfigPrinter.Print(config, sources),
        };
    }

    private static IEnumerable<ConfigFinding> InOrder(List<ConfigFinding> findings) => findings
        .OrderBy(finding => finding.Flag is not null)
        .ThenBy(finding => finding.Line)
        .ThenBy(finding => finding.Column);
}
