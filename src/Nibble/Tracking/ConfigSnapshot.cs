using System.Text.Json.Nodes;
using Nibble.Config;

namespace Nibble.Tracking;

/// <summary>A resolved run as YAML key → value: what a tracker's run page shows and runs are compared by.</summary>
internal static class ConfigSnapshot
{
    private static readonly string[] _secretMarks =
    [
        "api_key", "apikey", "password", "passwd", "secret", "credential", "private_key", "hf_token", "hub_token",
        "auth_token", "access_token", "bearer",
    ];

    /// <summary>The settings that decide what is trained.</summary>
    internal static JsonObject Of(RunConfig config)
    {
        JsonObject values = new()
        {
            ["base_model"] = config.BaseModel,
            ["output_dir"] = config.OutputDir,
            ["seed"] = config.Seed,
            ["weight_storage"] = config.Quantization.Storage.ToString().ToLowerInvariant(),
            ["load_in_4bit"] = config.Quantization.Storage != WeightStorage.Dense,
            ["double_quantization"] = config.Quantization.DoubleQuantization,
        };
        if (config.Lora is { } lora)
        {
            values["lora_r"] = lora.Rank;
            values["lora_alpha"] = lora.Alpha;
            values["lora_dropout"] = lora.Dropout;
            values["lora_target_modules"] = List(lora.TargetModules);
            values["peft_use_rslora"] = lora.RankStabilized;
            values["lora_model_dir"] = lora.InitialAdapter;
            values["loraplus_lr_ratio"] = lora.LoraPlusRatio;
        }

        values["datasets"] = Datasets(config.Data.Train);
        values["test_datasets"] = Datasets(config.Data.Test);
        values["val_set_size"] = config.Data.ValidationSize;
        values["chat_template"] = config.Data.ChatTemplate;
        values["train_on_inputs"] = config.Data.TrainOnInputs;
        values["sequence_len"] = config.Sequence.Length;
        values["sample_packing"] = config.Sequence.SamplePacking;
        values["pad_to_sequence_len"] = config.Sequence.PadToLength;
        values["micro_batch_size"] = config.Batch.MicroBatchSize;
        values["gradient_accumulation_steps"] = config.Batch.AccumulationSteps;
        values["eval_batch_size"] = config.Batch.EvalBatchSize;
        values["num_epochs"] = config.Batch.Epochs;
        values["max_steps"] = config.Batch.MaxSteps;
        values["loss_normalization"] = config.Batch.Normalization.ToString().ToLowerInvariant();
        values["optimizer"] = config.Optimizer.Kind == OptimizerKind.AdamW8Bit ? "adamw_bnb_8bit" : "adamw_torch";
        values["learning_rate"] = config.Optimizer.LearningRate;
        values["weight_decay"] = config.Optimizer.WeightDecay;
        values["adam_beta1"] = config.Optimizer.Beta1;
        values["adam_beta2"] = config.Optimizer.Beta2;
        values["adam_epsilon"] = config.Optimizer.Epsilon;
        values["max_grad_norm"] = config.Optimizer.MaxGradNorm;
        values["lr_scheduler"] = config.Schedule.Kind switch
        {
            ScheduleKind.Cosine => "cosine",
            ScheduleKind.Linear => "linear",
            ScheduleKind.Constant => "constant",
            ScheduleKind.ConstantWithWarmup => "constant_with_warmup",
            _ => config.Schedule.Kind.ToString(),
        };
        values["warmup_steps"] = config.Schedule.WarmupSteps;
        values["warmup_ratio"] = config.Schedule.WarmupRatio;
        values["logging_steps"] = config.Logging.Steps;
        values["device"] = config.Engine.Device;
        values["gradient_checkpointing"] = config.Engine.Recompute != RecomputeMode.Never;
        return values;
    }

    /// <summary>A copy without keys that name secrets, and without user names and passwords inside URLs.</summary>
    internal static JsonObject WithoutSecrets(JsonObject config)
    {
        JsonObject clean = [];
        foreach ((string key, JsonNode? value) in config)
        {
            if (!IsSecret(key))
            {
                clean[key] = Clean(value);
            }
        }

        return clean;
    }

    private static JsonNode? Clean(JsonNode? node) => node switch
    {
        JsonObject inner => WithoutSecrets(inner),
        JsonArray array => new JsonArray([.. array.Select(Clean)]),
        JsonValue value when value.TryGetValue(out string? text) => JsonValue.Create(CleanUrl(text)),
        _ => node?.DeepClone(),
    };

    private static string CleanUrl(string text) =>
        text.Contains("://", StringComparison.Ordinal)
        && Uri.TryCreate(text, UriKind.Absolute, out Uri? uri)
        && uri.UserInfo.Length > 0
            ? text.Replace(uri.UserInfo + "@", "***@", StringComparison.Ordinal)
            : text;

    private static bool IsSecret(string key)
    {
        foreach (string mark in _secretMarks)
        {
            if (key.Contains(mark, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private static JsonArray List(IEnumerable<string> items) =>
        new([.. items.Select(item => (JsonNode)JsonValue.Create(item))]);

    private static JsonArray Datasets(IEnumerable<DatasetOptions> sets) =>
        new([.. sets.Select(set => (JsonNode)new JsonObject
        {
            ["path"] = set.Path,
            ["type"] = set.Type,
            ["split"] = set.Split,
        })]);
}
