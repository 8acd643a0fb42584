using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;
using Nibble.Generation;
using Nibble.Hosting.Answers;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Lora;
using Nibble.Planning;
using Nibble.Tensors;
using Nibble.Training;

namespace Nibble.Hosting;

/// <summary>What to load for evaluation and generation.</summary>
public sealed record AdapterRuntimeOptions
{
    /// <summary>Base model folder.</summary>
    public required string BaseModel { get; init; }

    /// <summary>Tokenizer folder.</summary>
    public required string TokenizerPath { get; init; }

    /// <summary>Adapter folder, folder of a whole model that was trained from the base, or null
    /// for the base model alone.</summary>
    public required string? Adapter { get; init; }

    /// <summary>What a run trains from and on.</summary>
    /// <param name="config">The run.</param>
    /// <param name="adapter">Adapter folder, folder of a whole model, or null for the base model alone.</param>
    public static AdapterRuntimeOptions Of(RunConfig config, string? adapter)
    {
        ArgumentNullException.ThrowIfNull(config);
        return new AdapterRuntimeOptions
        {
            BaseModel = config.BaseModel.Folder,
            TokenizerPath = config.Tokenizer.Folder,
            Adapter = adapter,
            Quantization = config.Quantization,
            Engine = config.Engine,
            SpecialTokens = config.Data.SpecialTokens,
        };
    }

    /// <summary>The same with a whole model in the place of its base.</summary>
    /// <remarks>Its weights are taken as they are stored: what a run quantises is its base.</remarks>
    internal AdapterRuntimeOptions Resolved() => Adapter is not null && AdapterRuntime.IsModel(Adapter)
        ? this with
        {
            BaseModel = Adapter,
            Adapter = null,
            Quantization = new QuantizationOptions(WeightStorage.Dense, DoubleQuantization: false),
        }
        : this;

    /// <summary>How base weights are held.</summary>
    public required QuantizationOptions Quantization { get; init; }

    /// <summary>Device.</summary>
    public required EngineOptions Engine { get; init; }

    /// <summary>Special tokens of the config.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens { get; init; } = new Dictionary<string, string>();

    /// <summary>Most tokens of a sequence.</summary>
    public int MaxTokens { get; init; } = 2048;

    /// <summary>Most tokens of an evaluation pass; longer ones are no faster and only take memory.</summary>
    public int PassTokens { get; init; } = 2048;

    /// <summary>The same with passes long enough for the longest of these batches.</summary>
    /// <param name="samples">Rows to evaluate.</param>
    /// <param name="batches">How they lie side by side.</param>
    public AdapterRuntimeOptions WithRoomFor(IReadOnlyList<Sample> samples, IReadOnlyList<MicroBatch> batches)
    {
        ArgumentNullException.ThrowIfNull(samples);
        ArgumentNullException.ThrowIfNull(batches);
        return this with
        {
            PassTokens = batches.Select(b => b.Tokens(samples)).Append(PassTokens).Max(),
        };
    }

    /// <summary>Whether there is room for <see cref="AdapterRuntime.ReadLogits"/>.</summary>
    internal bool ReadsLogits { get; init; }

    /// <summary>Sequences that are decoded side by side; null for one at a time.</summary>
    public DecodingGroup? SideBySide { get; init; }
}

/// <summary>Base model and adapter on a device, for everything but training.</summary>
public sealed class AdapterRuntime : IDisposable
{
    /// <summary>Name of the resolved config that a run leaves in its output folder.</summary>
    public const string ConfigFileName = "config.yml";

    private readonly ModelSession _session;
    private readonly AdapterRuntimeOptions _options;

    private AdapterRuntime(
        AdapterRuntimeOptions options, BackendChoice device, ModelSession session, HfTokenizer tokenizer) =>
        (_options, Device, _session, Tokenizer) = (options, device, session, tokenizer);

    /// <summary>Device.</summary>
    public BackendChoice Device { get; }

    /// <summary>Tokenizer.</summary>
    public HfTokenizer Tokenizer { get; }

    /// <summary>Architecture.</summary>
    public ModelConfig Model => _session.Layout.Model;

    /// <summary>The model on its device.</summary>
    public ModelSession Session => _session;

    /// <summary>Whether a folder holds a whole model and not an adapter.</summary>
    /// <param name="folder">Checkpoint or output folder.</param>
    public static bool IsModel(string folder) => File.Exists(Path.Combine(folder, FullModelFiles.Config))
        && !File.Exists(Path.Combine(folder, AdapterFileNames.Config));

    /// <summary>Loads base model and adapter.</summary>
    /// <param name="options">What to load.</param>
    public static AdapterRuntime Open(AdapterRuntimeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options = options.Resolved();
        var model = ModelConfig.Load(options.BaseModel);
        var tokenizer = HfTokenizer.Load(options.TokenizerPath).WithSpecialTokens(options.SpecialTokens);
        var adapter = options.Adapter is null ? null : AdapterReader.Read(options.Adapter);
        var lora = adapter is null ? null : Options(adapter.Config);
        var device = BackendChoice.Open(options.Engine);
        ModelSession? session = null;
        try
        {
            WeightFormat format;
            using (var files = SafetensorsIndex.Open(options.BaseModel))
            {
                format = ModelSession.Format(
                    model, options.Quantization, device.Backend.ActivationType, options.BaseModel, files);
            }

            session = new ModelSession(
                device.Backend, Layout(options, model, format, lora, device.Backend.ActivationType));
            session.Load(options.BaseModel);
            if (adapter is not null)
            {
                CheckpointWriter.LoadAdapter(session, adapter);
            }

            return new AdapterRuntime(options, device, session, tokenizer);
        }
        catch
        {
            session?.Dispose();
            device.Dispose();
            throw;
        }
    }

    /// <summary>Evaluation loss of rows.</summary>
    /// <param name="samples">Rows.</param>
    /// <param name="batches">Their batches.</param>
    /// <param name="normalization">How losses are averaged.</param>
    /// <param name="cancellation">Throws between passes.</param>
    public double Evaluate(
        Sample[] samples, IReadOnlyList<MicroBatch> batches, LossNormalization normalization,
        CancellationToken cancellation = default) =>
        new Evaluator(_session.Backend, _session.Decoder, _session.Arena, EvaluationPlan(_options), normalization)
            .Loss(samples, batches, cancellation);

    /// <summary>Gives the logits that predict a batch's trained tokens, some at a time.</summary>
    internal void ReadLogits(Batch batch, LogitsReader read) =>
        _session.Decoder.ReadLogits(batch, MergeFidelity.Chunk, _session.Arena, read);

    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">Token ids.</param>
    /// <param name="sampling">Length and sampling.</param>
    /// <param name="onToken">Called with every new token, or null.</param>
    /// <param name="cancellation">Ends early.</param>
    public GeneratedTokens Generate(
        ReadOnlySpan<int> prompt, SamplingOptions sampling, Action<int>? onToken = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(sampling);
        var generator = new Generator(_session.Decoder, Model, _session.Backend, _session.Arena);
        return generator.Continue(
            prompt, SampleGeneration.Terminators(Tokenizer, Model), sampling, onToken, cancellation);
    }

    /// <summary>Greedy answers to rows, in their order.</summary>
    /// <param name="prompts">Rows; <see cref="AdapterRuntimeOptions.SideBySide"/> holds their
    /// <see cref="AnswerRun.Largest"/>.</param>
    /// <param name="maxNewTokens">Most new tokens of an answer.</param>
    /// <param name="progress">Told how many rows are done, or null.</param>
    /// <param name="cancellation">Throws between groups of rows.</param>
    public IReadOnlyList<Answer> Answer(
        IReadOnlyList<AnswerPrompt> prompts, int maxNewTokens, IProgress<int>? progress = null,
        CancellationToken cancellation = default) => AnswerRun.Greedy(
        new Generator(_session.Decoder, Model, _session.Backend, _session.Arena), Tokenizer,
        SampleGeneration.Terminators(Tokenizer, Model), prompts, maxNewTokens, progress, cancellation);

    /// <inheritdoc/>
    public void Dispose()
    {
        _session.Dispose();
        Device.Dispose();
    }

    private static SessionLayout Layout(
        AdapterRuntimeOptions options, ModelConfig model, WeightFormat format, LoraOptions? lora, DType activation)
    {
        var adapters = lora is null ? null : LoraAdapters.Allocate(model, lora, activation, Arena.Counting());
        var shape = new PassShape(
            options.PassTokens, options.PassTokens, options.PassTokens, EvaluationChunk, 0, Backward: false);
        var pass = Math.Max(
            DecoderModel.PassBytes(model, adapters, activation, shape),
            Generator.Bytes(model, adapters, activation, options.MaxTokens, options.MaxTokens));
        if (options.SideBySide is { } group)
        {
            pass = Math.Max(
                pass, Generator.Bytes(
                    model, adapters, activation, group.PromptTokens, group.TotalTokens, group.Sequences));
        }

        if (options.ReadsLogits)
        {
            var reading = shape with { LogitsChunk = MergeFidelity.Chunk };
            pass = Math.Max(pass, DecoderModel.ReadLogitsBytes(model, adapters, activation, reading));
        }

        return new SessionLayout
        {
            Model = model,
            Format = format,
            Lora = lora,
            Optimizer = null,
            Positions = Math.Max(options.MaxTokens, options.PassTokens),
            PassBytes = Math.Max(pass, Models.Quantization.WeightLoader.ScratchBytes(model)) + (16 * Arena.Alignment),
        };
    }

    private const int EvaluationChunk = 512;

    private static MemoryPlan EvaluationPlan(AdapterRuntimeOptions options) => new()
    {
        PassTokens = options.PassTokens,
        EvalPassTokens = options.PassTokens,
        LogitsChunk = EvaluationChunk,
        RecomputedLayers = 0,
        ResidentLayers = 0,
        TableOnHost = false,
        PassBytes = 0,
        Ledger = [],
        StepSeconds = null,
    };

    private static LoraOptions Options(LoraAdapterConfig config) => new()
    {
        Rank = config.Rank,
        Alpha = config.Alpha,
        Dropout = config.Dropout,
        TargetModules = config.TargetModules,
        RankStabilized = config.RankStabilized,
        InitialAdapter = null,
        LoraPlusRatio = null,
    };
}
