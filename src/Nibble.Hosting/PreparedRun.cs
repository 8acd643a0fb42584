using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;
using Nibble.Generation;
using Nibble.Models;
using Nibble.Models.Full;
using Nibble.Models.Lora;
using Nibble.Planning;
using Nibble.Tensors;

namespace Nibble.Hosting;

/// <summary>A run with everything decided and nothing done: rows tokenised, device opened, memory planned.</summary>
public sealed class PreparedRun : IDisposable
{
    private PreparedRun()
    {
    }

    /// <summary>The configuration.</summary>
    public required LoadedConfig Loaded { get; init; }

    /// <summary>The run.</summary>
    public RunConfig Config => Loaded.Config;

    /// <summary>Architecture of the base model.</summary>
    public required ModelConfig Model { get; init; }

    /// <summary>Tokenizer, special tokens of the config applied.</summary>
    public required HfTokenizer Tokenizer { get; init; }

    /// <summary>Rows as tokens.</summary>
    public required TokenizedData Data { get; init; }

    /// <summary>Optimizer steps.</summary>
    public required TrainingOrder Order { get; init; }

    /// <summary>Evaluation batches.</summary>
    public required IReadOnlyList<MicroBatch> EvaluationBatches { get; init; }

    /// <summary>When the run logs, evaluates, saves.</summary>
    public required RunTimeline Timeline { get; init; }

    /// <summary>The largest things the run will meet.</summary>
    public required Workload Workload { get; init; }

    /// <summary>Device.</summary>
    public required BackendChoice Device { get; init; }

    /// <summary>How weights are held.</summary>
    public required WeightFormat Format { get; init; }

    /// <summary>How the device is used.</summary>
    public required MemoryPlan Plan { get; init; }

    /// <summary>Most device bytes that the plan may use.</summary>
    public required long BudgetBytes { get; init; }

    /// <summary>Trained parameters.</summary>
    public required long TrainableParameters { get; init; }

    /// <summary>Prepares a run. Files that <see cref="RunFiles"/> has not found yet are found first. A run whose
    /// weights were left on the Hub (<see cref="RunFilesOptions.Weights"/>) can be looked at and not run.</summary>
    /// <param name="loaded">The configuration.</param>
    /// <param name="progress">Told about tokenisation, or null.</param>
    /// <param name="assumed">A device that need not be here: the plan is made for it, on the processor, and cannot be
    /// run. Null plans for the device that the config asks for.</param>
    /// <param name="cancellation">Stops between rows.</param>
    public static PreparedRun Create(
        LoadedConfig loaded, IProgress<DataProgress>? progress = null, DeviceTraits? assumed = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(loaded);
        loaded = RunFiles.Find(loaded, stop: cancellation);
        var config = loaded.Config;
        if (config.Lora is null && Path.GetFullPath(config.OutputDir) == Path.GetFullPath(config.BaseModel.Folder))
        {
            throw new ModelFormatException(
                $"output_dir: expected another folder than base_model, found {config.OutputDir} for both: "
                + "the trained model would replace the one it is trained from.");
        }

        var lora = config.Lora;
        var model = ModelConfig.Load(config.BaseModel.Folder);
        if (lora is null)
        {
            FullParameters.RequireTrainable(model);
        }

        var tokenizer = HfTokenizer.Load(config.Tokenizer.Folder).WithSpecialTokens(config.Data.SpecialTokens);
        if (tokenizer.VocabularySize > model.VocabularySize)
        {
            throw new ModelFormatException(
                $"{config.Tokenizer.Name}: the tokenizer has {tokenizer.VocabularySize} ids, "
                + $"the model's embedding table {model.VocabularySize} rows: they do not belong together.");
        }

        var data = DatasetBuilder.Build(config, tokenizer, progress, cancellation);
        var order = TrainingOrder.Create(data.Train, config.Batch, config.Sequence, config.Seed);
        var batches = Nibble.Data.Packing.EvaluationBatches.Create(data.Eval, config.Batch, config.Sequence);
        var workload = Workload.Measure(data, order, batches);
        WeightFormat format;
        var device = BackendChoice.Open(assumed is null ? config.Engine : config.Engine with { Device = "cpu" });
        var traits = assumed ?? device.Traits;
        try
        {
            var source = config.BaseModel;
            using (var files = source.MissingWeightBytes is null ? SafetensorsIndex.Open(source.Folder) : null)
            {
                format = lora is null
                    ? FullParameters.Format(traits.ActivationType)
                    : ModelSession.Format(model, config.Quantization, traits.ActivationType, source.Folder, files);
            }

            var planner = new MemoryPlanner(
                model, format, lora, config.Optimizer.Kind == OptimizerKind.AdamW8Bit, config.Engine.Recompute, traits);
            return new PreparedRun
            {
                Loaded = loaded,
                Model = model,
                Tokenizer = tokenizer,
                Data = data,
                Order = order,
                EvaluationBatches = batches,
                Timeline = new RunTimeline(config, order, data.Eval.Length > 0),
                Workload = workload,
                Device = device,
                Format = format,
                Plan = planner.Choose(workload),
                BudgetBytes = traits.BudgetBytes,
                TrainableParameters = lora is null
                    ? model.ParameterCount
                    : LoraAdapters.Allocate(model, lora, traits.ActivationType, Arena.Counting()).TrainableCount,
            };
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>The session of this run's plan.</summary>
    public SessionLayout Layout() => new()
    {
        Model = Model,
        Format = Format,
        Lora = Config.Lora,
        Optimizer = Config.Optimizer.Kind,
        Positions = Workload.LongestSample + Math.Max(Config.Evaluation.MaxNewTokens, SampleGeneration.MaxNewTokens),
        PassBytes = Math.Max(Plan.PassBytes, GenerationBytes()) + (Timeline.LoggingSteps * 16L)
            + (16 * Arena.Alignment),
        PassHostBytes = Plan.PassHostBytes,
        ResidentLayers = Plan.ResidentLayers,
        TableOnHost = Plan.TableOnHost && !Model.TiedHead,
    };

    // Samples are drawn after training, in the memory of its passes.
    private long GenerationBytes()
    {
        var activation = Device.Backend.ActivationType;
        var adapters =
            Config.Lora is { } lora ? LoraAdapters.Allocate(Model, lora, activation, Arena.Counting()) : null;
        var longest = Workload.LongestSample;
        var newTokens = Math.Max(Config.Evaluation.MaxNewTokens, SampleGeneration.MaxNewTokens);
        return Generator.Bytes(Model, adapters, activation, longest, longest + newTokens);
    }

    /// <inheritdoc/>
    public void Dispose() => Device.Dispose();
}
