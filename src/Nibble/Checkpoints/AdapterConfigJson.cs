using System.Text.Json;
using System.Text.RegularExpressions;

namespace Nibble.Checkpoints;

/// <summary>
/// <c>adapter_config.json</c> with every key that peft writes for a causal language model. Source: huggingface/peft
/// <c>src/peft/config.py</c>, <c>src/peft/tuners/lora/config.py</c>.
/// </summary>
internal static partial class AdapterConfigJson
{
    /// <summary>The peft release whose key set is written; readers use it to explain keys they do not know.</summary>
    internal const string PeftVersion = "0.21.0";

    // A value other than null, false, "none" or an empty container changes what the adapter computes.
    private static readonly string[] _mustBeEmpty =
    [
        "alora_invocation_tokens", "alpha_pattern", "arrow_config", "corda_config", "eva_config", "exclude_modules",
        "fan_in_fan_out", "kasa_config", "layer_replication", "loftq_config", "lora_bias", "lora_ga_config",
        "megatron_config", "modules_to_save", "monteclora_config", "rank_pattern", "target_parameters",
        "trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "velora_config",
    ];

    // These change the base weights, so that the adapter does not fit the plain base.
    private static readonly string[] _allowedInitializations = ["gaussian", "orthogonal", "eva", "true", "false"];

    internal static string Write(LoraAdapterConfig config) => PythonJson.Write(new Dictionary<string, object?>
    {
        ["alora_invocation_tokens"] = null,
        ["alpha_pattern"] = new Dictionary<string, object?>(),
        ["arrow_config"] = null,
        ["auto_mapping"] = null,
        ["base_model_name_or_path"] = config.BaseModel,
        ["bias"] = "none",
        ["corda_config"] = null,
        ["ensure_weight_tying"] = false,
        ["eva_config"] = null,
        ["exclude_modules"] = null,
        ["fan_in_fan_out"] = false,
        ["inference_mode"] = true,
        ["init_lora_weights"] = true,
        ["kasa_config"] = null,
        ["layer_replication"] = null,
        ["layers_pattern"] = null,
        ["layers_to_transform"] = config.LayersToTransform?.Select(l => (object?)l).ToArray(),
        ["loftq_config"] = new Dictionary<string, object?>(),
        ["lora_alpha"] = Math.Abs(config.Alpha) < 1e15 && config.Alpha == Math.Floor(config.Alpha)
            ? (object)(long)config.Alpha
            : config.Alpha,
        ["lora_bias"] = false,
        ["lora_dropout"] = config.Dropout,
        ["lora_ga_config"] = null,
        ["megatron_config"] = null,
        ["megatron_core"] = "megatron.core",
        ["modules_to_save"] = null,
        ["monteclora_config"] = null,
        ["peft_type"] = "LORA",
        ["peft_version"] = PeftVersion,
        ["qalora_group_size"] = 16,
        ["r"] = config.Rank,
        ["rank_pattern"] = new Dictionary<string, object?>(),
        ["revision"] = config.Revision,
        ["target_modules"] = config.TargetModules,
        ["target_parameters"] = null,
        ["task_type"] = "CAUSAL_LM",
        ["trainable_token_indices"] = null,
        ["use_bdlora"] = null,
        ["use_dora"] = false,
        ["use_qalora"] = false,
        ["use_rslora"] = config.RankStabilized,
        ["velora_config"] = null,
    });

    /// <summary>Reads a config; keys that do not change the computation are ignored.</summary>
    /// <param name="file">Path.</param>
    /// <param name="tensorNames">Names in the adapter file, from which targets given as a pattern are derived.</param>
    internal static LoraAdapterConfig Read(string file, IEnumerable<string> tensorNames)
    {
        var fields = JsonFields.Read(file);
        var type = fields.String("peft_type");
        if (type != "LORA")
        {
            throw new CheckpointException(file, "peft_type LORA", $"'{type}'");
        }

        foreach (var key in _mustBeEmpty)
        {
            if (fields.Find(key) is { } value && !IsEmpty(value))
            {
                throw fields.Wrong(key, "nothing (this variant of LoRA is not supported)", value);
            }
        }

        if ((fields.OptionalString("bias") ?? "none") is not "none" and var bias)
        {
            throw new CheckpointException(file, "'none' for 'bias'", $"'{bias}'");
        }

        if (fields.Find("init_lora_weights") is { } init
            && !_allowedInitializations.Contains(init.ToString(), StringComparer.OrdinalIgnoreCase))
        {
            throw fields.Wrong("init_lora_weights", "an initialisation that leaves the base weights alone", init);
        }

        var config = new LoraAdapterConfig
        {
            BaseModel = fields.OptionalString("base_model_name_or_path"),
            Revision = fields.OptionalString("revision"),
            Rank = fields.OptionalInt("r") ?? 8,
            Alpha = fields.OptionalDouble("lora_alpha") ?? 8,
            Dropout = fields.OptionalDouble("lora_dropout") ?? 0,
            TargetModules = ReadTargets(fields, tensorNames),
            RankStabilized = fields.Bool("use_rslora", whenAbsent: false),
            LayersToTransform = ReadLayers(fields),
        };
        if (config.Rank < 1)
        {
            throw new CheckpointException(file, "'r' from 1", $"{config.Rank}");
        }

        return config;
    }

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.False => true,
        JsonValueKind.Object => !value.EnumerateObject().MoveNext(),
        JsonValueKind.Array => value.GetArrayLength() == 0,
        _ => false,
    };

    private static List<int>? ReadLayers(JsonFields fields)
    {
        if (fields.Find("layers_to_transform") is not { } value)
        {
            return null;
        }

        var layers = new List<int>();
        foreach (var item in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value])
        {
            layers.Add(item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out var layer)
                ? layer
                : throw fields.Wrong("layers_to_transform", "layer numbers", value));
        }

        return layers;
    }

    private static List<string> ReadTargets(JsonFields fields, IEnumerable<string> tensorNames)
    {
        if (fields.Find("target_modules") is { ValueKind: JsonValueKind.Array } list)
        {
            var targets = new List<string>();
            foreach (var item in list.EnumerateArray())
            {
                targets.Add(item.ValueKind == JsonValueKind.String
                    ? item.GetString()!
                    : throw fields.Wrong("target_modules", "module names", list));
            }

            return targets;
        }

        // A pattern, or nothing (the library's map for the architecture): the tensors say what it matched.
        if (fields.Find("target_modules") is { ValueKind: not JsonValueKind.String } other)
        {
            throw fields.Wrong("target_modules", "a list of names or a pattern", other);
        }

        return
        [
            .. tensorNames
                .Select(LoraAdapter.ParseName)
                .Where(n => n is not null)
                .Select(n => LastComponent().Match(n!.Value.Module).Value)
                .Distinct(StringComparer.Ordinal)
                .Order(StringComparer.Ordinal),
        ];
    }

    [GeneratedRegex(@"[^.]+$")]
    private static partial Regex LastComponent();
}
