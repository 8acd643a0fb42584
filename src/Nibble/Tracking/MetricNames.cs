namespace Nibble.Tracking;

/// <summary>The names that the Hugging Face Trainer logs, so that existing dashboards keep working.</summary>
public static class MetricNames
{
    /// <summary>Mean loss per trained token since the last row, in nats.</summary>
    public const string TrainLoss = "train/loss";

    /// <summary>Learning rate of the step.</summary>
    public const string LearningRate = "train/learning_rate";

    /// <summary>Global L2 norm of the gradient before clipping.</summary>
    public const string GradNorm = "train/grad_norm";

    /// <summary>Passes over the training data done, with fraction.</summary>
    public const string Epoch = "train/epoch";

    /// <summary>Optimizer steps done.</summary>
    public const string GlobalStep = "train/global_step";

    /// <summary>Exponential of the training loss.</summary>
    public const string TrainPerplexity = "train/ppl";

    /// <summary>Tokens in the passes per second.</summary>
    public const string TokensPerSecond = "train/tokens_per_second";

    /// <summary>Highest device memory in use, GiB.</summary>
    public const string MemoryMaxActive = "train/memory/max_active";

    /// <summary>Mean loss per trained token of the evaluation rows, in nats.</summary>
    public const string EvalLoss = "eval/loss";

    /// <summary>Exponential of the evaluation loss.</summary>
    public const string EvalPerplexity = "eval/ppl";

    /// <summary>Seconds of one evaluation.</summary>
    public const string EvalRuntime = "eval/runtime";

    /// <summary>Evaluation rows per second.</summary>
    public const string EvalSamplesPerSecond = "eval/samples_per_second";

    /// <summary>Evaluation batches per second.</summary>
    public const string EvalStepsPerSecond = "eval/steps_per_second";

    /// <summary>
    /// The Trainer's rewriting of a flat name: <c>eval_loss</c> is <c>eval/loss</c>, <c>test_loss</c> is
    /// <c>test/loss</c>, every other name goes under <c>train/</c>. A name that has a section already is returned
    /// unchanged.
    /// </summary>
    /// <param name="flat">Name as in <c>trainer_state.json</c>.</param>
    public static string FromTrainer(string flat)
    {
        if (flat.Contains('/', StringComparison.Ordinal))
        {
            return flat;
        }

        if (flat.StartsWith("eval_", StringComparison.Ordinal))
        {
            return "eval/" + flat["eval_".Length..];
        }

        return flat.StartsWith("test_", StringComparison.Ordinal)
            ? "test/" + flat["test_".Length..]
            : "train/" + flat;
    }
}
