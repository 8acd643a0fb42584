using static Nibble.Config.KeyKind;

namespace Nibble.Config;

internal static partial class KeyTable
{
    private static KeySpec[] BatchKeys() =>
    [
        Key("micro_batch_size", Integer, "Rows of one micro-batch.", "1", range: ValueRange.AtLeast(1)),
        Key("gradient_accumulation_steps", Integer, "Micro-batches of one optimizer step.", "1",
            range: ValueRange.AtLeast(1)),
        Key("batch_size", Integer, "Rows of one optimizer step; resolves `gradient_accumulation_steps`.",
            note: "`micro_batch_size` × `gradient_accumulation_steps`", range: ValueRange.AtLeast(1)),
        Key("eval_batch_size", Integer, "Rows of one evaluation batch.", note: "`micro_batch_size`",
            range: ValueRange.AtLeast(1)),
        Key("num_epochs", Number, "Passes over the data.", "1.0", range: ValueRange.Above(0)),
        Key("max_steps", Integer, "Optimizer steps; wins over `num_epochs`. -1 means no limit.",
            note: "from `num_epochs`", range: ValueRange.AtLeast(-1)),
        Key("loss_normalization", Text,
            "Divide the loss of a step by all its trained tokens (`token`), or average micro-batch means (`sequence`).",
            "token", allowed: ["token", "sequence"]),
        Key("seed", Integer, "Seed of shuffling, initialisation and dropout.", "42", range: ValueRange.AtLeast(0)),
    ];

    private static KeySpec[] OptimizerKeys() =>
    [
        Key("learning_rate", Number, "Peak learning rate.", note: "required", range: ValueRange.Above(0)),
        Key("optimizer", Text, "AdamW with fp32 states, or with 8-bit states for the names that say 8bit.",
            "adamw_torch_fused", allowed: [.. KnownNames.Optimizers.Keys]),
        Key("weight_decay", Number, "Decoupled weight decay.", "0.0", range: ValueRange.AtLeast(0)),
        Key("adam_beta1", Number, "Decay of the first moment.", "0.9", range: new ValueRange(0, 1, WithoutHigh: true)),
        Key("adam_beta2", Number, "Decay of the second moment.", "0.999",
            range: new ValueRange(0, 1, WithoutHigh: true)),
        Key("adam_epsilon", Number, "Added to the root of the second moment.", "1e-8", range: ValueRange.Above(0)),
        Key("max_grad_norm", Number, "Global norm the gradient is clipped to; 0 switches clipping off.", "1.0",
            range: ValueRange.AtLeast(0)),
        Key("lr_scheduler", Text, "Shape of the learning rate.", "cosine",
            allowed: ["cosine", "linear", "constant", "constant_with_warmup"]),
        Key("warmup_steps", Integer, "Steps of linear warm-up; excludes `warmup_ratio`.",
            note: "3 % of the run, at most 100", range: ValueRange.AtLeast(0)),
        Key("warmup_ratio", Number, "Warm-up as a share of the run.", range: new ValueRange(0, 1)),
        Key("cosine_min_lr_ratio", Number, "Share of the peak at which the cosine ends.", note: "0",
            range: new ValueRange(0, 1)),
        Key("cosine_constant_lr_ratio", Number,
            "Share of the run after which the minimum is held; needs `cosine_min_lr_ratio`.",
            range: new ValueRange(0, 1, WithoutLow: true)),
        Later("optim_args", Text | Mapping, "free arguments of an optimizer; use adam_beta1, adam_beta2, adam_epsilon"),
        Later("lr_scheduler_kwargs", Mapping, "free arguments of a schedule"),
        Later("lr_quadratic_warmup", KeyKind.Boolean, "quadratic warm-up"),
        Later("embedding_lr", Number, "a learning rate of the embeddings"),
        Later("embedding_lr_scale", Number, "a learning rate of the embeddings"),
        Later("lr_groups", EntryList | Anything, "learning rates per module"),
    ];

    private static KeySpec[] EvaluationKeys() =>
    [
        Key("eval_strategy", Text, "When to evaluate.", note: "`steps` with `eval_steps`, else `epoch`",
            allowed: ["no", "steps", "epoch"], aliases: ["evaluation_strategy"]),
        Key("eval_steps", Number, "Steps between evaluations, or below 1 a share of the run.",
            range: ValueRange.Count),
        Key("evals_per_epoch", Integer, "Evaluations per epoch; excludes `eval_steps`.", range: ValueRange.AtLeast(0)),
        Key("metric_for_best_model", Text, "Metric that ranks checkpoints; perplexity ranks as the loss does.", "loss",
            allowed: ["loss", "eval_loss", "ppl", "eval_ppl"]),
        Key("early_stopping_patience", Integer, "Evaluations without improvement before the run stops.",
            range: ValueRange.AtLeast(1)),
        Key("load_best_model_at_end", KeyKind.Boolean, "Restore the best adapter before the final save.", "false"),
        Key("generate_samples", KeyKind.Boolean, "Generate from evaluation rows after each evaluation.", "false"),
        Key("num_generation_samples", Integer, "Rows to generate from.", "3", range: ValueRange.AtLeast(1)),
        Key("generation_max_new_tokens", Integer, "Most tokens of a generated sample.", "50",
            range: ValueRange.AtLeast(1)),
        Key("generation_temperature", Number, "0 for greedy.", "0.7", range: ValueRange.AtLeast(0)),
        Refuse("greater_is_better", KeyKind.Boolean, "every metric that ranks checkpoints is better when lower"),
        Later("eval_table_size", Integer, "prediction tables in W&B", "0"),
        Later("eval_max_new_tokens", Integer, "prediction tables in W&B", "128"),
        Later("eval_causal_lm_metrics", TextList, "metrics of generated text"),
        Later("do_causal_lm_eval", KeyKind.Boolean, "metrics of generated text"),
        Later("do_bench_eval", KeyKind.Boolean, "benchmark suites during training"),
    ];

    private static KeySpec[] SaveKeys() =>
    [
        Key("save_strategy", Text, "When to write checkpoints; `steps` without `save_steps` means every 500.",
            note: "`steps` with `save_steps`, else `epoch`", allowed: ["no", "steps", "epoch"]),
        Key("save_steps", Number, "Steps between checkpoints, or below 1 a share of the run.",
            range: ValueRange.Count),
        Key("saves_per_epoch", Integer, "Checkpoints per epoch; excludes `save_steps`.", range: ValueRange.AtLeast(0)),
        Key("save_total_limit", Integer, "Checkpoints kept; 0 keeps all.", "4", range: ValueRange.AtLeast(0)),
        Key("save_only_model", KeyKind.Boolean, "Leave out optimizer and data position; cannot be resumed.", "false"),
        Key("save_first_step", KeyKind.Boolean, "Write a checkpoint after the first step too.", "false"),
        Key("resume_from_checkpoint", Text, "Checkpoint folder to resume from."),
        Key("auto_resume_from_checkpoints", KeyKind.Boolean,
            "Resume from the newest valid checkpoint of `output_dir` when there is one.", "false"),
        BuiltIn("save_safetensors", KeyKind.Boolean, "checkpoints are always safetensors", "true"),
        Later("hub_model_id", Text, "uploading to the Hub; upload the finished folder yourself"),
        Later("hub_strategy", Text, "uploading to the Hub; upload the finished folder yourself"),
        Later("push_to_hub", KeyKind.Boolean, "uploading to the Hub; upload the finished folder yourself"),
        Later("push_dataset_to_hub", Text, "uploading to the Hub"),
    ];
}
