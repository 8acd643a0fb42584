using static Nibble.Config.KeyKind;

namespace Nibble.Config;

internal static partial class KeyTable
{
    private const string Kernels = "attention is built in: exact, variable-length, without the square matrix";
    private const string Fused = "fused kernels are built in";
    private const string Loader = "rows are tokenised before the run; nothing is loaded during a step";
    private const string OneDevice = "a run uses one device and one process";
    private const string Mlflow = "reporting to MLflow";

    private static KeySpec[] EngineKeys() =>
    [
        Key("gradient_checkpointing", KeyKind.Boolean | Text,
            "Permit recomputing layers where the memory budget needs it; the offload values permit the same.", "false",
            allowed: ["true", "false", "offload", "offload_disk"]),
        Key("gpu_memory_limit", Size | Number, "Device memory never exceeded: `24GiB`, `24GB`, or a number of GiB.",
            note: "what is free, less a reserve"),
        Key("nibble", Mapping, "Keys of this engine alone.", children:
        [
            Key("device", Text, "`auto`, `cpu`, `cuda` or `cuda:N`.", "auto"),
            Key("threads", Integer, "CPU threads.", note: "all cores", range: new ValueRange(1, 4096)),
            Key("recompute", Text, "Recompute layers in the backward pass: wins over `gradient_checkpointing`.",
                note: "`allowed` with `gradient_checkpointing`, else `never`", allowed: ["never", "allowed", "always"]),
            Key("max_dropped_share", Number, "Share of rows that may be dropped for length before the run is refused.",
                "0.05", range: new ValueRange(0, 1)),
        ]),
        BuiltIn("bf16", KeyKind.Boolean | Text, "the GPU computes in bf16 and the CPU in fp32", "auto", "true", "false",
            "full"),
        Refuse("fp16", KeyKind.Boolean, "fp16 overflows and needs loss scaling; use bf16: true"),
        BuiltIn("tf32", KeyKind.Boolean | Text, "no product of the run is a tf32 candidate", "auto", "true", "false"),
        BuiltIn("gradient_checkpointing_kwargs", Mapping | Anything, "recomputation has one form, and it is exact"),
        BuiltIn("activation_offloading", KeyKind.Boolean | Text, "the memory plan decides where activations stay"),
        BuiltIn("low_cpu_mem_usage", KeyKind.Boolean, "weights are always streamed"),
        BuiltIn("attn_implementation", Text, Kernels),
        BuiltIn("flash_attention", KeyKind.Boolean, Kernels),
        BuiltIn("sdp_attention", KeyKind.Boolean, Kernels),
        BuiltIn("xformers_attention", KeyKind.Boolean, Kernels),
        BuiltIn("eager_attention", KeyKind.Boolean, Kernels),
        BuiltIn("flex_attention", KeyKind.Boolean, Kernels),
        Refuse("s2_attention", KeyKind.Boolean, "shifted sparse attention trains another model than the one deployed"),
        BuiltIn("torch_compile", KeyKind.Boolean | Text, "nothing needs compiling"),
        BuiltIn("torch_compile_backend", Text, "nothing needs compiling"),
        BuiltIn("torch_compile_mode", Text, "nothing needs compiling"),
        BuiltIn("lora_mlp_kernel", KeyKind.Boolean, Fused),
        BuiltIn("lora_qkv_kernel", KeyKind.Boolean, Fused),
        BuiltIn("lora_o_kernel", KeyKind.Boolean, Fused),
        BuiltIn("plugins", TextList, "fused kernels and a loss without full logits are built in",
            "axolotl.integrations.liger.LigerPlugin",
            "axolotl.integrations.cut_cross_entropy.CutCrossEntropyPlugin"),
        BuiltIn("liger_rope", KeyKind.Boolean, Fused),
        BuiltIn("liger_rms_norm", KeyKind.Boolean, Fused),
        BuiltIn("liger_layer_norm", KeyKind.Boolean, Fused),
        BuiltIn("liger_glu_activation", KeyKind.Boolean, Fused),
        BuiltIn("liger_swiglu", KeyKind.Boolean, Fused),
        BuiltIn("liger_cross_entropy", KeyKind.Boolean, Fused),
        BuiltIn("liger_fused_linear_cross_entropy", KeyKind.Boolean, "the full logits never exist"),
        BuiltIn("cut_cross_entropy", KeyKind.Boolean, "the full logits never exist"),
        BuiltIn("dataloader_num_workers", Integer, Loader),
        BuiltIn("dataloader_pin_memory", KeyKind.Boolean, Loader),
        BuiltIn("dataloader_prefetch_factor", Integer, Loader),
        Later("dataloader_drop_last", KeyKind.Boolean, "dropping the last, smaller step of an epoch"),
        Later("neftune_noise_alpha", Number, "NEFTune noise", "0") with { Aliases = ["noisy_embedding_alpha"] },
    ];

    private static KeySpec[] LoggingKeys() =>
    [
        Key("logging_steps", Integer, "Optimizer steps between two log lines.", note: "0.5 % of the run, from 1 to 10",
            range: ValueRange.AtLeast(1)),
        Key("wandb_project", Text, "W&B project; giving it switches W&B on."),
        Key("wandb_name", Text, "Display name of the W&B run.", aliases: ["wandb_run_name"]),
        Key("wandb_run_id", Text, "Id of the W&B run.", note: "a fresh one"),
        Key("wandb_entity", Text, "W&B team or user."),
        Key("wandb_mode", Text, "How W&B runs.", note: "the environment's",
            allowed: ["online", "offline", "disabled"]),
        Key("wandb_log_model", Text, "Which adapters go to W&B as artifacts.", "false",
            allowed: ["false", "checkpoint", "end"]),
        Refuse("wandb_watch", Text | KeyKind.Boolean, "gradient histograms of frozen weights do not exist", "false"),
        Key("use_tensorboard", KeyKind.Boolean, "Write TensorBoard event files.", "false"),
        Key("loss_watchdog_threshold", Number, "Loss above which the watchdog counts.", range: ValueRange.Above(0)),
        Key("loss_watchdog_patience", Integer, "Consecutive logged losses above the threshold that stop the run.", "3",
            range: ValueRange.AtLeast(1)),
        BuiltIn("include_tkps", KeyKind.Boolean, "tokens per second are always reported"),
        BuiltIn("include_tokens_per_second", KeyKind.Boolean, "tokens per second are always reported"),
        BuiltIn("strict", KeyKind.Boolean, "unknown keys are always refused, unless --lenient is given"),
        BuiltIn("debug", KeyKind.Boolean, "'nibble inspect' shows rows with ids and labels"),
        Later("use_mlflow", KeyKind.Boolean, Mlflow),
        Later("mlflow_tracking_uri", Text, Mlflow),
        Later("mlflow_experiment_name", Text, Mlflow),
        Later("mlflow_run_name", Text, Mlflow),
        Later("hf_mlflow_log_artifacts", KeyKind.Boolean, Mlflow),
        Later("use_comet", KeyKind.Boolean, "reporting to Comet"),
    ];

    private static KeySpec[] OtherKeys() =>
    [
        Refuse("deepspeed", Text | Mapping, OneDevice),
        Refuse("fsdp", TextList | Text, OneDevice),
        Refuse("fsdp_config", Mapping, OneDevice),
        Refuse("local_rank", Integer, OneDevice, "0", "-1"),
        Refuse("ddp_timeout", Integer, OneDevice),
        Refuse("ddp", KeyKind.Boolean, OneDevice),
        Refuse("tensor_parallel_size", Integer, OneDevice, "1"),
        Refuse("context_parallel_size", Integer, OneDevice, "1"),
        Later("rl", Text, "preference and reinforcement training"),
        Later("reward_model", KeyKind.Boolean, "reward models"),
        Later("process_reward_model", KeyKind.Boolean, "reward models"),
        Later("relora", KeyKind.Boolean, "ReLoRA"),
        Later("relora_steps", Integer, "ReLoRA", "0"),
        Later("unfrozen_parameters", TextList, "training chosen base weights"),
        Refuse("merge_lora", KeyKind.Boolean, "merging is its own verb: nibble merge"),
    ];
}
