using Nibble.Tensors;

namespace Nibble.Models.Families;

/// <summary>One architecture: its <c>model_type</c> and how its <c>config.json</c> becomes a
/// <see cref="ModelConfig"/>.</summary>
/// <param name="Name"><c>model_type</c>.</param>
/// <param name="Parse">Reader of the config.</param>
internal sealed record Family(string Name, Func<ConfigReader, ModelConfig> Parse);

/// <summary>The architectures that the one decoder graph serves.</summary>
public static class FamilyTable
{
    internal static readonly Family[] Families = [Qwen2.Family, Qwen3.Family, Llama.Family, Mistral.Family];

    /// <summary>Names of all supported families.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Families.Select(f => f.Name)];

    internal static ModelConfig Parse(ConfigReader reader)
    {
        var type = reader.Text("model_type") ?? throw new ModelFormatException(
            $"{reader.Path}: model_type: expected one of {string.Join(", ", All)}, found nothing.");
        foreach (var family in Families)
        {
            if (family.Name == type)
            {
                return Validate(reader, family.Parse(reader));
            }
        }

        throw reader.Unsupported("model_type", type, $"one of {string.Join(", ", All)}");
    }

    /// <summary>The fields that every family shares.</summary>
    internal static ModelConfig Common(ConfigReader reader, bool qkvBias, bool qkNorm, IReadOnlyList<int> windows)
    {
        var hidden = reader.Int("hidden_size");
        var heads = reader.Int("num_attention_heads");
        var activation = reader.Text("hidden_act") ?? "silu";
        if (activation != "silu")
        {
            throw reader.Unsupported("hidden_act", activation, "silu");
        }

        return new ModelConfig
        {
            Family = reader.Text("model_type")!,
            HiddenSize = hidden,
            IntermediateSize = reader.Int("intermediate_size"),
            Layers = reader.Int("num_hidden_layers"),
            Heads = heads,
            KvHeads = reader.OptionalInt("num_key_value_heads") ?? heads,
            HeadDim = reader.OptionalInt("head_dim") ?? (heads > 0 ? hidden / heads : 0),
            VocabularySize = reader.Int("vocab_size"),
            NormEpsilon = (float)reader.Number("rms_norm_eps"),
            TiedHead = reader.Flag("tie_word_embeddings", false),
            QkvBias = qkvBias,
            QkNorm = qkNorm,
            Rope = Rope(reader),
            Windows = windows,
            Quantization = Quantization(reader),
            SavedType = (reader.Text("dtype") ?? reader.Text("torch_dtype")) switch
            {
                "bfloat16" => DType.BF16,
                "float16" => DType.F16,
                "float32" => DType.F32,
                _ => null,
            },
            EosIds = reader.Ids("eos_token_id"),
        };
    }

    /// <summary>Windows per layer from <c>layer_types</c> where a config has them, else from
    /// <paramref name="rule"/>.</summary>
    internal static IReadOnlyList<int> Windows(ConfigReader reader, Func<int, bool> rule)
    {
        var layers = reader.Int("num_hidden_layers");
        var types = reader.Texts("layer_types");
        if (types is not null && types.Count != layers)
        {
            throw reader.Unsupported("layer_types", $"{types.Count} entries", $"{layers} entries, one a layer");
        }

        var windows = new int[layers];
        for (var l = 0; l < layers; l++)
        {
            var slides = types is null ? rule(l) : types[l] switch
            {
                "full_attention" => false,
                "sliding_attention" => true,
                var other => throw reader.Unsupported("layer_types", other, "full_attention or sliding_attention"),
            };
            windows[l] = slides ? reader.Int("sliding_window") : 0;
        }

        return windows;
    }

    private static RopeOptions Rope(ConfigReader reader)
    {
        var section = reader.Section("rope_parameters");
        var scaling = section ?? reader.Section("rope_scaling");
        var theta = section?.OptionalNumber("rope_theta") ?? reader.OptionalNumber("rope_theta") ?? 10000;
        var type = scaling?.Text("rope_type") ?? scaling?.Text("type") ?? "default";
        return type switch
        {
            "default" => new RopeOptions(theta, null),
            "llama3" => new RopeOptions(theta, new Llama3RopeScaling(
                scaling!.Number("factor"),
                scaling.Number("low_freq_factor"),
                scaling.Number("high_freq_factor"),
                scaling.Int("original_max_position_embeddings"))),
            _ => throw reader.Unsupported("rope_type", type, "default or llama3"),
        };
    }

    private static SavedQuantization? Quantization(ConfigReader reader)
    {
        if (reader.Section("quantization_config") is not { } section)
        {
            return null;
        }

        var method = section.Text("quant_method") ?? "bitsandbytes";
        if (method != "bitsandbytes" || !section.Flag("load_in_4bit", section.Flag("_load_in_4bit", false)))
        {
            throw section.Unsupported(
                "quant_method", method,
                "bitsandbytes with load_in_4bit; use the unquantised model and let Nibble quantise it");
        }

        var code = section.Text("bnb_4bit_quant_type") ?? "fp4";
        return new SavedQuantization(
            code switch
            {
                "nf4" => FourBitCode.Nf4,
                "fp4" => FourBitCode.Fp4,
                _ => throw section.Unsupported("bnb_4bit_quant_type", code, "nf4 or fp4"),
            },
            section.Flag("bnb_4bit_use_double_quant", false));
    }

    private static ModelConfig Validate(ConfigReader reader, ModelConfig config)
    {
        void Positive(string field, int value)
        {
            if (value <= 0)
            {
                throw reader.Unsupported(field, value.ToString(), "a positive number");
            }
        }

        Positive("hidden_size", config.HiddenSize);
        Positive("intermediate_size", config.IntermediateSize);
        Positive("num_hidden_layers", config.Layers);
        Positive("num_attention_heads", config.Heads);
        Positive("num_key_value_heads", config.KvHeads);
        Positive("vocab_size", config.VocabularySize);
        if (config.Heads % config.KvHeads != 0)
        {
            throw reader.Unsupported(
                "num_key_value_heads", config.KvHeads.ToString(), $"a divisor of {config.Heads} heads");
        }

        return config.HeadDim is > 0 and <= 256 && config.HeadDim % 2 == 0
            ? config
            : throw reader.Unsupported("head_dim", config.HeadDim.ToString(), "an even width of at most 256");
    }
}
