using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;
using Nibble.Generation;
using Nibble.Hub;
using Nibble.Validation;
using Nibble.Validation.Checks;

namespace Nibble.Hosting;

/// <summary>How a checkpoint is examined.</summary>
public sealed record CheckpointValidationOptions
{
    /// <summary>The run's config; null looks for <c>config.yml</c> in the folder and its parent.</summary>
    public LoadedConfig? Config { get; init; }

    /// <summary>Base model's folder, or its name on the Hub; null takes the config's.</summary>
    public string? BaseModel { get; init; }

    /// <summary>Leave out the checks that load the model.</summary>
    public bool FilesOnly { get; init; }

    /// <summary>Samples to generate.</summary>
    public int Samples { get; init; } = 3;

    /// <summary>Overrides applied to a config that is looked for.</summary>
    public IReadOnlyList<ConfigOverride> Overrides { get; init; } = [];

    /// <summary>How files of the Hub are found; what is wanted is decided by <see cref="FilesOnly"/>.</summary>
    public RunFilesOptions Files { get; init; } = new();

    /// <summary>One line per thing left out.</summary>
    public Action<string> Warn { get; init; } = _ => { };
}

/// <summary>The deployment gate over a folder on disk.</summary>
public static class CheckpointValidation
{
    /// <summary>Examines a checkpoint, or an output folder with the final adapter.</summary>
    /// <param name="folder">What to examine.</param>
    /// <param name="options">How.</param>
    /// <param name="stop">Ends a download.</param>
    public static ValidationReport Run(
        string folder, CheckpointValidationOptions options, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ArgumentNullException.ThrowIfNull(options);
        var loaded = options.Config ?? FindConfig(folder, options.Overrides);
        if (loaded is not null && options.BaseModel is { } other)
        {
            loaded = loaded with { Config = WithBase(loaded.Config, new ModelSource(other)) };
        }

        string? baseModel;
        try
        {
            var files = options.Files with { Rows = !options.FilesOnly, CacheOnly = options.FilesOnly };
            loaded = loaded is null ? null : RunFiles.Find(loaded, files, stop);
            baseModel = loaded?.Config.BaseModel.Folder
                ?? (options.BaseModel is null
                    ? null
                    : RunFiles.Find(new ModelSource(options.BaseModel), files, stop).Folder);
        }
        catch (HubException missing) when (options.FilesOnly && missing.Error == HubError.Offline)
        {
            options.Warn(missing.Message);
            baseModel = null;
        }

        var tokenizerPath = loaded?.Config is { } c && c.Tokenizer != c.BaseModel ? c.Tokenizer.Folder : null;
        if (loaded is null || options.FilesOnly || baseModel is null)
        {
            if (!options.FilesOnly)
            {
                options.Warn(
                    $"no {AdapterRuntime.ConfigFileName} in {folder} or above it: "
                    + "only files are checked; name the run's config to check the loss and generate samples too.");
            }

            return Validator.Validate(folder, baseModel, tokenizerFolder: tokenizerPath);
        }

        // Files that are not fit to load never reach the engine.
        if (Validator.Validate(folder, baseModel, tokenizerFolder: tokenizerPath) is { Passed: false } failed)
        {
            return failed;
        }

        var config = loaded.Config;
        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder).WithSpecialTokens(config.Data.SpecialTokens);
        var data = DatasetBuilder.Build(config, tokenizer, cancellation: stop);
        var batches = EvaluationBatches.Create(data.Eval, config.Batch, config.Sequence);
        AdapterRuntime? runtime = null;
        AdapterRuntime Runtime() => runtime ??= AdapterRuntime.Open(new AdapterRuntimeOptions
        {
            BaseModel = baseModel,
            TokenizerPath = config.Tokenizer.Folder,
            Adapter = folder,
            Quantization = config.Quantization,
            Engine = config.Engine,
            SpecialTokens = config.Data.SpecialTokens,
            ReadsLogits = true,
            MaxTokens = config.Sequence.Length + SampleGeneration.MaxNewTokens,
        }.WithRoomFor(data.Eval, batches));
        try
        {
            var checks = new List<ICheck>();
            if (MergeReport.IsIn(folder))
            {
                if (Remeasured(folder, config, Runtime) is { } measured)
                {
                    checks.Add(measured);
                }
            }
            else if (data.Eval.Length > 0 && EvalReproducesCheck.RecordedLoss(folder) is { } recorded)
            {
                var (tolerance, reason) = AdapterRuntime.IsModel(folder)
                    ? (FineTuner.RoundedWeights, FineTuner.RoundedWeightsReason)
                    : OtherOrder(Runtime().Device.IsCuda);
                checks.Add(new EvalReproducesCheck(
                    recorded, () => Runtime().Evaluate(data.Eval, batches, config.Batch.Normalization),
                    tolerance, reason));
            }

            var rows = data.Eval.Length > 0 ? data.Eval : data.Train;
            checks.Add(new SamplesCheck(
                () => SampleGeneration.FromRows(
                    Runtime().Session, Runtime().Tokenizer, rows, options.Samples,
                    new SamplingOptions(SampleGeneration.MaxNewTokens)),
                mustTerminate: false));
            return Validator.Validate(folder, baseModel, checks, tokenizerPath);
        }
        finally
        {
            runtime?.Dispose();
        }
    }

    // A tokenizer that is the base's own has moved with it.
    private static RunConfig WithBase(RunConfig config, ModelSource model) => config with
    {
        BaseModel = model,
        Tokenizer = config.Tokenizer == config.BaseModel ? model : config.Tokenizer,
    };

    // A merged model is held to its own measurement, on the rows of that: it is not the model that was evaluated in
    // training, whose weights may have been in 4 bits.
    private static EvalReproducesCheck? Remeasured(string folder, RunConfig config, Func<AdapterRuntime> runtime)
    {
        if (MergeReport.Read(folder).Measurement is not { } measured
            || measured.Loss(MergeMeasurement.Merged) is not { } recorded
            || MergeFidelity.Choose(config, measured.Tokens, CancellationToken.None) is not { } selection
            || (selection.Rows, selection.Samples, selection.Tokens)
                != (measured.Rows, measured.Samples, measured.Tokens))
        {
            return null;
        }

        var (tolerance, reason) = measured.Device == runtime().Device.Backend.Name && !runtime().Device.IsCuda
            ? OtherOrder(onCard: false)
            : OtherOrder(onCard: true);
        return new EvalReproducesCheck(
            recorded, () => MergeFidelity.Loss(runtime(), selection, CancellationToken.None), tolerance, reason);
    }

    // Another cut into passes sums in another order; on a GPU every activation is rounded to bf16 besides.
    private static (double Tolerance, string Reason) OtherOrder(bool onCard) => onCard
        ? (5e-3, "bf16 activations, sums in another order")
        : (1e-5, "F32 sums in another order");

    internal static LoadedConfig? FindConfig(string folder, IReadOnlyList<ConfigOverride> overrides)
    {
        var parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        foreach (var place in new[] { folder, parent })
        {
            if (place is not null && Path.Combine(place, AdapterRuntime.ConfigFileName) is var path
                && File.Exists(path))
            {
                return ConfigLoader.Load(path, overrides);
            }
        }

        return null;
    }
}
