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

    /// <summary>Trained tokens to measure the merged model on, whole rows until there are as many; null measures
    /// nothing.</summary>
    public int? MeasuredTokens { get; init; } = 4096;

    /// <summary>Most that the merged model's loss may exceed the trained one's by, relative; null takes 0.5 % over an
    /// unquantised base, where merging only rounds, and 5 % over one in 4 bits.</summary>
    public double? Tolerance { get; init; }

    /// <summary>What is happening now, in words.</summary>
    public Action<string> Stage { get; init; } = _ => { };

    /// <summary>Things that do not stop the work and should be seen.</summary>
    public Action<string> Warn { get; init; } = _ => { };

    /// <summary>Told the bytes of weights merged, counted in F32, and their sum.</summary>
    public Action<long, long> Progress { get; init; } = (_, _) => { };
}

/// <summary>A merged model.</summary>
/// <param name="Folder">Its folder.</param>
/// <param name="Bytes">Bytes of its weights.</param>
/// <param name="Report">What it was made of, and what was measured.</param>
public sealed record ModelMergeResult(string Folder, long Bytes, MergeReport Report)
{
    /// <summary>Whether no measurement speaks against it.</summary>
    public bool Passed => Report.Measurement is null or { Passed: true };
}

/// <summary>Puts a run's adapter into the weights of its base model.</summary>
public static class ModelMerge
{
    /// <summary>Name of the folder that a run's merged model goes to.</summary>
    public const string FolderName = "merged";

    /// <summary>Merges, measures the result, and leaves the report in its folder.</summary>
    /// <param name="loaded">The run.</param>
    /// <param name="options">Which adapter, where to.</param>
    /// <param name="cancellation">Throws. While weights are merged nothing is left then; while the result is measured,
    /// the merged model with a report that holds no measurement.</param>
    /// <exception cref="CheckpointException">The adapter was refused, or the folder cannot be made.</exception>
    /// <exception cref="DeviceUnavailableException">The device to measure on is not here.</exception>
    public static ModelMergeResult Run(
        LoadedConfig loaded, ModelMergeOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(loaded);
        ArgumentNullException.ThrowIfNull(options);
        var wanted = new RunFilesOptions { Rows = options.MeasuredTokens is not null, Warn = options.Warn };
        loaded = RunFiles.Find(loaded, wanted, cancellation);
        var config = loaded.Config;
        var adapter = options.Adapter ?? config.OutputDir;
        var folder = options.Output ?? Path.Combine(config.OutputDir, FolderName);
        if (AdapterRuntime.IsModel(adapter))
        {
            throw new CheckpointException(adapter, "an adapter", "a whole model, which needs no merging");
        }

        using var merge = AdapterMerge.Open(config.BaseModel.Folder, adapter);
        var refusals = Gate(loaded, adapter, options);

        // Rows are chosen first: without any, nothing is merged in vain.
        var selection = options.MeasuredTokens is { } tokens
            ? MergeFidelity.Choose(config, tokens, cancellation)
            : null;
        if (merge.Model.Quantization is { } saved)
        {
            options.Warn(
                $"{config.BaseModel.Name} is quantised ({saved.Code}): its matrices are dequantised and written as "
                + $"{merge.StorageType}. They are the weights the adapter was trained over.");
        }

        options.Stage($"merging {merge.Modules} modules of {adapter} into {config.BaseModel.Name}");
        var total = 4 * merge.Model.ParameterCount;
        var report = merge.Write(
            folder,
            new AdapterMergeOptions
            {
                BaseName = config.BaseModel.Name,
                TokenizerFolder = config.Tokenizer.Folder,
                NibbleVersion = RunIdentity.Version,
                Refusals = refusals,
                Overwrite = options.Overwrite,
                Threads = config.Engine.Threads,
                Progress = new Direct(bytes => options.Progress(bytes, total)),
            },
            cancellation);
        if (selection is not null)
        {
            options.Stage($"wrote {folder}");
            report = report with
            {
                Measurement = MergeFidelity.Measure(
                    config, adapter, folder, selection, options.Tolerance, options.Stage, cancellation),
            };
            report.Write(folder);
        }

        return new ModelMergeResult(folder, merge.Bytes, report);
    }

    private static List<string> Gate(LoadedConfig loaded, string adapter, ModelMergeOptions options)
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
            return refusals;
        }

        if (!options.Ungated)
        {
            throw new CheckpointException(
                adapter, "an adapter that passes the gate (nibble validate), or leave to merge it anyway (--ungated)",
                string.Join("; ", refusals));
        }

        options.Warn($"merged against the gate: {string.Join("; ", refusals)}");
        return refusals;
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
