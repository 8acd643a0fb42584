using System.Globalization;
using System.Text.Json;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>One entry of <see cref="TrainerState.LogHistory"/>.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Epoch">Epochs done, or null when the entry has none.</param>
/// <param name="Values">Further numbers by the trainer's names; not a number is written as null.</param>
public sealed record LogEntry(int Step, double? Epoch, IReadOnlyDictionary<string, double> Values)
{
    /// <summary>The entry of a logging step.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <param name="epoch">Epochs done.</param>
    /// <param name="loss">Mean of the step losses since the last log; kept to 4 decimals.</param>
    /// <param name="gradNorm">Global norm before clipping.</param>
    /// <param name="learningRate">The rate of the step just done.</param>
    public static LogEntry Train(int step, double epoch, double loss, double gradNorm, double learningRate) =>
        new(step, epoch, new Dictionary<string, double>
        {
            ["loss"] = Round(loss, 4),
            ["grad_norm"] = gradNorm,
            ["learning_rate"] = learningRate,
        });

    /// <summary>The entry of an evaluation.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <param name="epoch">Epochs done.</param>
    /// <param name="loss">Mean loss.</param>
    /// <param name="seconds">Duration.</param>
    /// <param name="samples">Rows evaluated.</param>
    /// <param name="batches">Batches evaluated.</param>
    public static LogEntry Evaluation(int step, double epoch, double loss, double seconds, int samples, int batches) =>
        new(step, epoch, new Dictionary<string, double>
        {
            ["eval_loss"] = loss,
            ["eval_runtime"] = Round(seconds, 4),
            ["eval_samples_per_second"] = Round(samples / seconds, 3),
            ["eval_steps_per_second"] = Round(batches / seconds, 3),
        });

    /// <summary>The entry at the end of a run.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <param name="epoch">Epochs done.</param>
    /// <param name="meanLoss">Sum of all step losses over their number.</param>
    /// <param name="seconds">Duration of this process's training.</param>
    /// <param name="samples">Rows trained on.</param>
    /// <param name="steps">Optimizer steps.</param>
    /// <param name="flops">Floating-point operations.</param>
    public static LogEntry Final(
        int step, double epoch, double meanLoss, double seconds, long samples, int steps, double flops) =>
        new(step, epoch, new Dictionary<string, double>
        {
            ["train_loss"] = meanLoss,
            ["train_runtime"] = Round(seconds, 4),
            ["train_samples_per_second"] = Round(samples / seconds, 3),
            ["train_steps_per_second"] = Round(steps / seconds, 3),
            ["total_flos"] = flops,
        });

    // Decimal rounding of the exact value, as Python's round does; Math.Round scales first and can go the other way.
    private static double Round(double value, int decimals) => double.IsFinite(value)
        ? double.Parse(
            value.ToString($"F{decimals}", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
        : value;
}

/// <summary>What the early-stopping rule has to remember.</summary>
/// <param name="Patience">Evaluations without improvement before the run stops.</param>
/// <param name="Threshold">Least change that counts as an improvement.</param>
/// <param name="Counter">Evaluations without improvement so far.</param>
public sealed record EarlyStoppingState(int Patience, double Threshold, int Counter);

/// <summary>
/// <c>trainer_state.json</c> as the Hugging Face Trainer writes it. Source: huggingface/transformers
/// <c>src/transformers/trainer_callback.py</c>.
/// </summary>
public sealed record TrainerState
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "trainer_state.json";

    /// <summary>Step of the best checkpoint, or null.</summary>
    public int? BestGlobalStep { get; init; }

    /// <summary>Metric of the best checkpoint, or null.</summary>
    public double? BestMetric { get; init; }

    /// <summary>Path of the best checkpoint, or null.</summary>
    public string? BestModelCheckpoint { get; init; }

    /// <summary>Epochs done, with the fraction of the running one.</summary>
    public required double Epoch { get; init; }

    /// <summary>Steps between evaluations, or null.</summary>
    public int? EvalSteps { get; init; }

    /// <summary>Optimizer steps done.</summary>
    public required int GlobalStep { get; init; }

    /// <summary>Everything logged so far, oldest first.</summary>
    public required IReadOnlyList<LogEntry> LogHistory { get; init; }

    /// <summary>Steps between log entries, or null.</summary>
    public int? LoggingSteps { get; init; }

    /// <summary>Optimizer steps of the whole run.</summary>
    public required int MaxSteps { get; init; }

    /// <summary>Tokens seen; 0 when not counted.</summary>
    public long NumInputTokensSeen { get; init; }

    /// <summary>Epochs of the whole run, rounded up.</summary>
    public required int NumTrainEpochs { get; init; }

    /// <summary>Steps between checkpoints, or null.</summary>
    public int? SaveSteps { get; init; }

    /// <summary>Whether the run ends at this step.</summary>
    public bool ShouldTrainingStop { get; init; }

    /// <summary>Early stopping, or null when it is off.</summary>
    public EarlyStoppingState? EarlyStopping { get; init; }

    /// <summary>Floating-point operations so far.</summary>
    public double TotalFlos { get; init; }

    /// <summary>Rows of a micro-batch.</summary>
    public required int TrainBatchSize { get; init; }

    /// <summary>The file's text: keys sorted, indent 2, final newline.</summary>
    public string ToJson()
    {
        var callbacks = new Dictionary<string, object?>
        {
            ["TrainerControl"] = new Dictionary<string, object?>
            {
                ["args"] = new Dictionary<string, object?>
                {
                    ["should_epoch_stop"] = false,
                    ["should_evaluate"] = false,
                    ["should_log"] = false,
                    ["should_save"] = true,
                    ["should_training_stop"] = ShouldTrainingStop,
                },
                ["attributes"] = new Dictionary<string, object?>(),
            },
        };
        if (EarlyStopping is { } early)
        {
            callbacks["EarlyStoppingCallback"] = new Dictionary<string, object?>
            {
                ["args"] = new Dictionary<string, object?>
                {
                    ["early_stopping_patience"] = early.Patience,
                    ["early_stopping_threshold"] = early.Threshold,
                },
                ["attributes"] = new Dictionary<string, object?>
                {
                    ["early_stopping_patience_counter"] = early.Counter,
                },
            };
        }

        return PythonJson.Write(new Dictionary<string, object?>
        {
            ["best_global_step"] = BestGlobalStep,
            ["best_metric"] = BestMetric,
            ["best_model_checkpoint"] = BestModelCheckpoint,
            ["epoch"] = Epoch,
            ["eval_steps"] = EvalSteps,
            ["global_step"] = GlobalStep,
            ["is_hyper_param_search"] = false,
            ["is_local_process_zero"] = true,
            ["is_world_process_zero"] = true,
            ["log_history"] = LogHistory.Select(Tree).ToArray(),
            ["logging_steps"] = LoggingSteps,
            ["max_steps"] = MaxSteps,
            ["num_input_tokens_seen"] = NumInputTokensSeen,
            ["num_train_epochs"] = NumTrainEpochs,
            ["save_steps"] = SaveSteps,
            ["stateful_callbacks"] = callbacks,
            ["total_flos"] = TotalFlos,
            ["train_batch_size"] = TrainBatchSize,
            ["trial_name"] = null,
            ["trial_params"] = null,
        }) + "\n";
    }

    /// <summary>Writes the file.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public void Write(string folder) => AtomicFile.WriteAllText(Path.Combine(folder, FileName), ToJson());

    /// <summary>Reads the file of a checkpoint folder.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="CheckpointException">It is absent or malformed.</exception>
    public static TrainerState Read(string folder)
    {
        var fields = JsonFields.Read(Path.Combine(folder, FileName));
        return new TrainerState
        {
            BestGlobalStep = fields.OptionalInt("best_global_step"),
            BestMetric = fields.OptionalDouble("best_metric"),
            BestModelCheckpoint = fields.OptionalString("best_model_checkpoint"),
            Epoch = fields.OptionalDouble("epoch") ?? 0,
            EvalSteps = fields.OptionalInt("eval_steps"),
            GlobalStep = fields.Int("global_step"),
            LogHistory = ReadHistory(fields),
            LoggingSteps = fields.OptionalInt("logging_steps"),
            MaxSteps = fields.OptionalInt("max_steps") ?? 0,
            NumInputTokensSeen = fields.OptionalLong("num_input_tokens_seen") ?? 0,
            NumTrainEpochs = fields.OptionalInt("num_train_epochs") ?? 0,
            SaveSteps = fields.OptionalInt("save_steps"),
            ShouldTrainingStop = ReadStop(fields),
            EarlyStopping = ReadEarlyStopping(fields),
            TotalFlos = fields.OptionalDouble("total_flos") ?? 0,
            TrainBatchSize = fields.OptionalInt("train_batch_size") ?? 1,
        };
    }

    private static Dictionary<string, object?> Tree(LogEntry entry)
    {
        var tree = entry.Values.ToDictionary(p => p.Key, p => (object?)p.Value, StringComparer.Ordinal);
        tree["step"] = entry.Step;
        if (entry.Epoch is { } epoch)
        {
            tree["epoch"] = epoch;
        }

        return tree;
    }

    private static List<LogEntry> ReadHistory(JsonFields fields)
    {
        var history = new List<LogEntry>();
        if (fields.Find("log_history") is null)
        {
            return history;
        }

        foreach (var item in fields.Array("log_history").EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object)
            {
                throw fields.Wrong("log_history", "objects", item);
            }

            var entry = new JsonFields(fields.File, item);
            var values = new Dictionary<string, double>(StringComparer.Ordinal);
            foreach (var pair in item.EnumerateObject())
            {
                // Other tools log texts too; the history that resumes is made of numbers.
                if (pair.Name is not ("step" or "epoch")
                    && pair.Value.ValueKind is JsonValueKind.Number or JsonValueKind.Null)
                {
                    values[pair.Name] = entry.OptionalDouble(pair.Name) ?? double.NaN;
                }
            }

            history.Add(new LogEntry(entry.OptionalInt("step") ?? 0, entry.OptionalDouble("epoch"), values));
        }

        return history;
    }

    private static bool ReadStop(JsonFields fields) =>
        fields.Find("stateful_callbacks") is not null
        && fields.Object("stateful_callbacks") is var callbacks
        && callbacks.Find("TrainerControl") is not null
        && callbacks.Object("TrainerControl").Object("args").Bool("should_training_stop", whenAbsent: false);

    private static EarlyStoppingState? ReadEarlyStopping(JsonFields fields)
    {
        if (fields.Find("stateful_callbacks") is null
            || fields.Object("stateful_callbacks").Find("EarlyStoppingCallback") is null)
        {
            return null;
        }

        var callback = fields.Object("stateful_callbacks").Object("EarlyStoppingCallback");
        var args = callback.Object("args");
        return new EarlyStoppingState(
            args.Int("early_stopping_patience"),
            args.OptionalDouble("early_stopping_threshold") ?? 0,
            callback.Object("attributes").OptionalInt("early_stopping_patience_counter") ?? 0);
    }
}
