namespace Nibble.Config;

/// <summary>
/// One run, resolved and validated: every default filled in, every contradiction refused. Made by
/// <see cref="ConfigLoader"/> from YAML and flags; nothing downstream reads YAML.
/// </summary>
public sealed record RunConfig
{
    /// <summary>The base model.</summary>
    public required ModelSource BaseModel { get; init; }

    /// <summary>The model whose tokenizer is used; the base model unless <c>tokenizer_config</c> says
    /// otherwise.</summary>
    public required ModelSource Tokenizer { get; init; }

    /// <summary>Folder that receives checkpoints, metrics and the final adapter.</summary>
    public required string OutputDir { get; init; }

    /// <summary>Seed of shuffling, initialisation and dropout.</summary>
    public required int Seed { get; init; }

    /// <summary>How the frozen weights are stored.</summary>
    public required QuantizationOptions Quantization { get; init; }

    /// <summary>The adapter, or null for training every weight.</summary>
    public required LoraOptions? Lora { get; init; }

    /// <summary>Data sets and how their rows become tokens.</summary>
    public required DataOptions Data { get; init; }

    /// <summary>Length policy, padding description and packing.</summary>
    public required SequenceOptions Sequence { get; init; }

    /// <summary>Micro-batches, accumulation, epochs and steps.</summary>
    public required BatchOptions Batch { get; init; }

    /// <summary>Optimizer and its constants.</summary>
    public required OptimizerOptions Optimizer { get; init; }

    /// <summary>Learning-rate schedule.</summary>
    public required ScheduleOptions Schedule { get; init; }

    /// <summary>When and how to evaluate.</summary>
    public required EvaluationOptions Evaluation { get; init; }

    /// <summary>When checkpoints are written and which are kept.</summary>
    public required SaveOptions Save { get; init; }

    /// <summary>Trackers and logging interval.</summary>
    public required LoggingOptions Logging { get; init; }

    /// <summary>Device, memory budget and recomputation.</summary>
    public required EngineOptions Engine { get; init; }
}

/// <summary>Storage of frozen decoder weights.</summary>
public enum WeightStorage
{
    /// <summary>Unquantised, in the checkpoint's own precision.</summary>
    Dense,

    /// <summary>4-bit NormalFloat, blocks of 64.</summary>
    Nf4,

    /// <summary>4-bit floating point, blocks of 64.</summary>
    Fp4,
}

/// <summary>How the frozen weights are stored.</summary>
/// <param name="Storage">4-bit code, or dense.</param>
/// <param name="DoubleQuantization">Whether absmax is itself quantised to 8 bits in blocks of 256.</param>
public sealed record QuantizationOptions(WeightStorage Storage, bool DoubleQuantization);

/// <summary>LoRA: y = W x + s B A dropout(x), s = alpha / rank (or alpha / sqrt(rank) with rsLoRA).</summary>
public sealed record LoraOptions
{
    /// <summary>Rank r of every adapted module.</summary>
    public required int Rank { get; init; }

    /// <summary>Numerator of the scaling.</summary>
    public required double Alpha { get; init; }

    /// <summary>Probability of zeroing an element of the adapter's input, in [0, 1).</summary>
    public required double Dropout { get; init; }

    /// <summary>Module names without duplicates, e.g. <c>q_proj</c>; resolved from the list and
    /// <c>lora_target_linear</c>.</summary>
    public required IReadOnlyList<string> TargetModules { get; init; }

    /// <summary>Scale by alpha / sqrt(rank).</summary>
    public required bool RankStabilized { get; init; }

    /// <summary>Folder of an adapter to start from, or null.</summary>
    public required string? InitialAdapter { get; init; }

    /// <summary>Learning-rate ratio of B over A (LoRA+), or null.</summary>
    public required double? LoraPlusRatio { get; init; }

    /// <summary>The factor on B A x.</summary>
    public double Scaling => RankStabilized ? Alpha / Math.Sqrt(Rank) : Alpha / Rank;
}

/// <summary>What happens to rows longer than the sequence length.</summary>
public enum ExcessLength
{
    /// <summary>The row is left out and counted.</summary>
    Drop,

    /// <summary>The row is cut on the right.</summary>
    Truncate,

    /// <summary>The run is refused.</summary>
    Raise,
}

/// <summary>Length policy, padding description and packing.</summary>
/// <param name="Length">Most tokens of a row.</param>
/// <param name="MinimumLength">Rows with fewer tokens are dropped.</param>
/// <param name="Excess">Policy for longer rows.</param>
/// <param name="SamplePacking">Fill a micro-batch of <c>micro_batch_size × Length</c>
/// tokens with whole samples.</param>
/// <param name="EvalSamplePacking">The same for evaluation.</param>
/// <param name="PadToLength">A description only: padding is never computed.</param>
/// <param name="MaximumDroppedShare">Share of rows that may be dropped for length before the run is refused.</param>
public sealed record SequenceOptions(
    int Length,
    int MinimumLength,
    ExcessLength Excess,
    bool SamplePacking,
    bool EvalSamplePacking,
    bool PadToLength,
    double MaximumDroppedShare);

/// <summary>How a step's loss is averaged.</summary>
public enum LossNormalization
{
    /// <summary>Sum over all trained tokens of the step divided by their number.</summary>
    Token,

    /// <summary>Mean over micro-batches of each micro-batch's token mean.</summary>
    Sequence,
}

/// <summary>Micro-batches, accumulation, epochs and steps.</summary>
/// <param name="MicroBatchSize">Rows of one micro-batch.</param>
/// <param name="AccumulationSteps">Micro-batches of one optimizer step.</param>
/// <param name="EvalBatchSize">Rows of one evaluation batch.</param>
/// <param name="Epochs">Passes over the data when <paramref name="MaxSteps"/> is null.</param>
/// <param name="MaxSteps">Optimizer steps; wins over epochs.</param>
/// <param name="Normalization">How the loss of a step is averaged.</param>
public sealed record BatchOptions(
    int MicroBatchSize,
    int AccumulationSteps,
    int EvalBatchSize,
    double Epochs,
    int? MaxSteps,
    LossNormalization Normalization);

/// <summary>Update rule.</summary>
public enum OptimizerKind
{
    /// <summary>AdamW with fp32 states; decay before the step, as PyTorch does.</summary>
    AdamW,

    /// <summary>AdamW with block-wise 8-bit states; decay after the step, as bitsandbytes does.</summary>
    AdamW8Bit,
}

/// <summary>Optimizer and its constants.</summary>
/// <param name="Kind">Update rule.</param>
/// <param name="LearningRate">Peak learning rate.</param>
/// <param name="WeightDecay">Decoupled decay.</param>
/// <param name="Beta1">First-moment decay.</param>
/// <param name="Beta2">Second-moment decay.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
/// <param name="MaxGradNorm">Global norm the gradient is clipped to; 0 switches clipping off.</param>
public sealed record OptimizerOptions(
    OptimizerKind Kind,
    double LearningRate,
    double WeightDecay,
    double Beta1,
    double Beta2,
    double Epsilon,
    double MaxGradNorm);

/// <summary>Shape of the learning rate over the run.</summary>
public enum ScheduleKind
{
    /// <summary>Half a cosine from the peak to zero (or to a minimum ratio).</summary>
    Cosine,

    /// <summary>A straight line from the peak to zero.</summary>
    Linear,

    /// <summary>The peak throughout; warm-up is ignored, as in transformers.</summary>
    Constant,

    /// <summary>Warm-up, then the peak.</summary>
    ConstantWithWarmup,
}

/// <summary>Learning-rate schedule.</summary>
/// <param name="Kind">Shape.</param>
/// <param name="WarmupSteps">Steps of linear warm-up, or null to derive.</param>
/// <param name="WarmupRatio">Share of the total steps, or null to derive.</param>
/// <param name="CosineMinRatio">Final share of the peak, or null for zero.</param>
/// <param name="CosineConstantRatio">Share of the run after which the minimum is held, or null.</param>
public sealed record ScheduleOptions(
    ScheduleKind Kind,
    int? WarmupSteps,
    double? WarmupRatio,
    double? CosineMinRatio,
    double? CosineConstantRatio);

/// <summary>Unit of an interval.</summary>
public enum IntervalKind
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>Every so many optimizer steps.</summary>
    Steps,

    /// <summary>Every so large a share of the total steps.</summary>
    Fraction,

    /// <summary>At the end of every epoch.</summary>
    Epoch,
}

/// <summary>When something recurs.</summary>
/// <param name="Kind">Unit.</param>
/// <param name="Value">Steps, or share of the total; ignored for the other kinds.</param>
public readonly record struct Interval(IntervalKind Kind, double Value)
{
    /// <summary>Steps between two events in a run of <paramref name="totalSteps"/>, or null
    /// when not a step interval.</summary>
    /// <param name="totalSteps">Optimizer steps of the run.</param>
    public int? InSteps(int totalSteps) => Kind switch
    {
        IntervalKind.Steps => (int)Value,
        IntervalKind.Fraction => (int)Math.Ceiling(totalSteps * Value),
        _ => null,
    };
}

/// <summary>When and how to evaluate.</summary>
/// <param name="Every">Interval.</param>
/// <param name="MetricForBest">Metric that ranks checkpoints, without the <c>eval_</c> prefix.</param>
/// <param name="EarlyStoppingPatience">Evaluations without improvement before stopping, or null.</param>
/// <param name="LoadBestAtEnd">Restore the best adapter before the final save.</param>
/// <param name="GenerateSamples">Generate from evaluation rows after each evaluation.</param>
/// <param name="SampleCount">Rows to generate from.</param>
/// <param name="MaxNewTokens">Most tokens per generated sample.</param>
/// <param name="Temperature">0 for greedy.</param>
public sealed record EvaluationOptions(
    Interval Every,
    string MetricForBest,
    int? EarlyStoppingPatience,
    bool LoadBestAtEnd,
    bool GenerateSamples,
    int SampleCount,
    int MaxNewTokens,
    double Temperature);

/// <summary>When checkpoints are written and which are kept.</summary>
/// <param name="Every">Interval.</param>
/// <param name="TotalLimit">Checkpoints kept, or null for all.</param>
/// <param name="OnlyModel">Leave optimizer and data position out; such a checkpoint cannot resume.</param>
/// <param name="FirstStep">Write one after the first step too.</param>
/// <param name="ResumeFrom">Checkpoint folder to resume from, or null.</param>
/// <param name="AutoResume">Resume from the newest valid checkpoint in the output folder when there is one.</param>
public sealed record SaveOptions(
    Interval Every,
    int? TotalLimit,
    bool OnlyModel,
    bool FirstStep,
    string? ResumeFrom,
    bool AutoResume);

/// <summary>Trackers and logging interval.</summary>
public sealed record LoggingOptions
{
    /// <summary>Optimizer steps between two log lines; null derives max(min(int(0.005 total), 10), 1).</summary>
    public required int? Steps { get; init; }

    /// <summary>W&amp;B settings, or null when <c>wandb_project</c> is absent.</summary>
    public required WandbOptions? Wandb { get; init; }

    /// <summary>Write TensorBoard event files.</summary>
    public required bool TensorBoard { get; init; }

    /// <summary>Loss above which the watchdog counts, or null.</summary>
    public required double? LossWatchdogThreshold { get; init; }

    /// <summary>Consecutive logged losses above the threshold that stop the run.</summary>
    public required int LossWatchdogPatience { get; init; }
}

/// <summary>W&amp;B run fields.</summary>
/// <param name="Project">Project name.</param>
/// <param name="Name">Display name or null.</param>
/// <param name="RunId">Run id or null for a fresh one.</param>
/// <param name="Entity">Team or user or null.</param>
/// <param name="Mode"><c>online</c>, <c>offline</c> or <c>disabled</c>, or null for the environment's.</param>
/// <param name="LogModel"><c>false</c>, <c>checkpoint</c> or <c>end</c>.</param>
public sealed record WandbOptions(
    string Project, string? Name, string? RunId, string? Entity, string? Mode, string LogModel);

/// <summary>Whether layers are recomputed in the backward pass.</summary>
public enum RecomputeMode
{
    /// <summary>Keep every activation.</summary>
    Never,

    /// <summary>Recompute where the memory budget needs it.</summary>
    Allowed,

    /// <summary>Recompute every layer.</summary>
    Always,
}

/// <summary>Device, memory budget and recomputation: the keys under <c>nibble</c> and
/// their Axolotl relatives.</summary>
/// <param name="Device"><c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>.</param>
/// <param name="Threads">CPU threads, or null for all cores.</param>
/// <param name="Recompute">From <c>gradient_checkpointing</c> and <c>nibble.recompute</c>.</param>
/// <param name="MemoryLimitBytes">From <c>gpu_memory_limit</c>; null for what is free less a reserve.</param>
public sealed record EngineOptions(string Device, int? Threads, RecomputeMode Recompute, long? MemoryLimitBytes);
