using System.Text.Json;
using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Validation;

namespace Nibble.Hosting;

/// <summary>What to merge, and where to.</summary>
public sealed record ModelMergeOptions
{
    /// <summary>Folder of the adapter; null takes the run's output folder.</summary>
    public string? Adapter { get; init; }

    /// <summary>Folder to write; null takes <c>merged</c> in the run's output folder.</summary>
    public string? Output { get; init; }

    /// <summary>Replace a folder that is there.</summary>
    public bool Overwrite { get; init; }

    /// <summary>Merge although the gate refuses the adapter.</summary>
    public bool Ungated { get; init; }

    /// <summary>What is happening now, in words.</summary>
    public Action<string> Stage { get; init; } = _ => { };

    /// <summary>Things that do not stop the work and should be seen.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>Told the bytes of weights merged, counted in F32, and their sum.</summary>
    public Action<long, long> Progress { get; init; } = (_, _) => { };
}

/// <summary>A merged model.</summary>
/// <param name="Folder">Its folder.</param>
/// <param name="Adapter">The adapter's folder.</param>
/// <param name="Modules">Modules that were merged.</param>
/// <param name="Scaling">The factor on B A.</param>
/// <param name="StorageType">Type of the merged matrices: <c>BF16</c>.</param>
/// <param name="Bytes">Bytes of weights.</param>
public sealed record ModelMergeResult(
    string Folder, string Adapter, int Modules, double Scaling, string StorageType, long Bytes);

/// <summary>Puts a run's adapter into the weights of its base model.</summary>
public static class ModelMerge
{
    /// <summary>Name of the folder that a run's merged model goes to.</summary>
    public const string FolderName = "merged";

    /// <summary>Merges.</summary>
    /// <param name="loaded">The run.</param>
    /// <param name="options">Which adapter, where to.</param>
    /// <param name="cancellation">Throws; nothing is left then.</param>
    /// <exception cref="CheckpointException">The adapter was refused, or the folder cannot be made.</exception>
    public static ModelMergeResult Run(
        LoadedConfig loaded, ModelMergeOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(loaded);
        ArgumentNullException.ThrowIfNull(options);
        loaded = RunFiles.Find(loaded, new RunFilesOptions { Rows = false, Warn = options.Warn }, cancellation);
        var config = loaded.Config;
        var adapter = options.Adapter ?? config.OutputDir;
        var folder = options.Output ?? Path.Combine(config.OutputDir, FolderName);
        if (AdapterRuntime.IsModel(adapter))
        {
            throw new CheckpointException(adapter, "an adapter", "a whole model, which needs no merging");
        }

        using var merge = AdapterMerge.Open(config.BaseModel.Folder, adapter);
        Gate(loaded, adapter, options);
        if (merge.Model.Quantization is { } saved)
        {
            options.Warn(
                $"{config.BaseModel.Name} is quantised ({saved.Code}): its matrices are dequantised and written as "
                + $"{merge.StorageType}. They are the weights the adapter was trained over.");
        }

        options.Stage($"merging {merge.Modules} modules of {adapter} into {config.BaseModel.Name}");
        var total = 4 * merge.Model.ParameterCount;
        merge.Write(
            folder,
            new AdapterMergeOptions
            {
                TokenizerFolder = config.Tokenizer.Folder,
                NibbleVersion = RunIdentity.Version,
                Overwrite = options.Overwrite,
                Threads = config.Engine.Threads,
                Progress = new Direct(bytes => options.Progress(bytes, total)),
            },
            cancellation);
        return new ModelMergeResult(folder, adapter, merge.Modules, merge.Scaling, merge.StorageType, merge.Bytes);
    }

    private static void Gate(LoadedConfig loaded, string adapter, ModelMergeOptions options)
    {
        var report = CheckpointValidation.Run(
            adapter, new CheckpointValidationOptions { Config = loaded, FilesOnly = true });
        var refusals = report.Findings.Where(f => f.Status == CheckStatus.Fail)
            .Select(f => $"{f.Name}: expected {f.Expected}, found {f.Found}").ToList();
        if (refusals.Count == 0 && !PassedBefore(adapter))
        {
            refusals.Add($"{ValidationReport.FileName} there says that it failed");
        }

        if (refusals.Count == 0)
        {
            return;
        }

        if (!options.Ungated)
        {
            throw new CheckpointException(
                adapter, "an adapter that passes the gate (nibble validate), or leave to merge it anyway (--ungated)",
                string.Join("; ", refusals));
        }

        options.Warn($"merged against the gate: {string.Join("; ", refusals)}");
    }

    // Training leaves the verdict on the loss and the samples as well; files alone do not show those.
    private static bool PassedBefore(string adapter)
    {
        var path = Path.Combine(adapter, ValidationReport.FileName);
        if (!File.Exists(path))
        {
            return true;
        }

        try
        {
            using var report = JsonDocument.Parse(File.ReadAllBytes(path));
            return report.RootElement.ValueKind == JsonValueKind.Object
                && report.RootElement.TryGetProperty("passed", out var passed)
                && passed.ValueKind == JsonValueKind.True;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    // Progress{T} reports on another thread, after the fact.
    private sealed class Direct(Action<long> report) : IProgress<long>
    {
        public void Report(long value) => report(value);
    }
}
