using static Nibble.Config.KeyKind;

namespace Nibble.Config;

internal static partial class KeyTable
{
    private static KeySpec[] ModelKeys() =>
    [
        Key("base_model", Text, "Folder of the base model (as given, else beside the config file), or its Hub name.",
            note: "required"),
        Key("revision_of_model", Text, "Branch, tag or commit of `base_model` on the Hub.", note: "the default branch",
            aliases: ["model_revision"]),
        Key("tokenizer_config", Text, "Folder or Hub name of the tokenizer.", note: "`base_model`"),
        Key("output_dir", Text, "Folder for checkpoints, metrics and the final adapter.", "./model-out"),
        BuiltIn("model_type", Text, "the architecture comes from the model's config.json"),
        BuiltIn("tokenizer_type", Text, "the tokenizer comes from tokenizer.json"),
        BuiltIn("tokenizer_use_fast", KeyKind.Boolean, "there is one tokenizer, and it is fast"),
        BuiltIn("tokenizer_legacy", KeyKind.Boolean, "tokenizer.json already says it"),
        BuiltIn("trust_remote_code", KeyKind.Boolean, "no code of a model's repository ever runs"),
        BuiltIn("is_llama_derived_model", KeyKind.Boolean, "the architecture comes from the model's config.json"),
        BuiltIn("is_mistral_derived_model", KeyKind.Boolean, "the architecture comes from the model's config.json"),
        BuiltIn("is_qwen_derived_model", KeyKind.Boolean, "the architecture comes from the model's config.json"),
        BuiltIn("hf_use_auth_token", KeyKind.Boolean, "a Hub token is taken from the environment when one is needed"),
        BuiltIn("embeddings_skip_upcast", KeyKind.Boolean, "embeddings are never widened in memory"),
        Key("special_tokens", Mapping, "Special tokens that replace the tokenizer's.", children:
        [
            Key("bos_token", Text, "Token before a sequence."),
            Key("eos_token", Text, "Token after a sequence."),
            Key("pad_token", Text, "Padding token; never computed, only written to the tokenizer files."),
            Key("unk_token", Text, "Token for what the vocabulary lacks."),
            Later("additional_special_tokens", TextList, "adding tokens to the vocabulary"),
        ]),
        Later("tokens", TextList, "adding tokens to the vocabulary"),
        Later("added_tokens_overrides", Mapping, "renaming reserved tokens"),
        Later("resize_token_embeddings_to_32x", KeyKind.Boolean, "resizing the embedding table"),
        Later("overrides_of_model_config", Mapping, "changing the model's own config.json from the run"),
    ];

    private static KeySpec[] QuantizationKeys() =>
    [
        Key("load_in_4bit", KeyKind.Boolean,
            "Store the frozen decoder weights as NF4 with double quantisation, for either adapter value.", "false"),
        Refuse("load_in_8bit", KeyKind.Boolean, "8-bit frozen weights do not exist here; use load_in_4bit: true"),
        Key("adapter", Text, "Train an adapter; `qlora` also requires `load_in_4bit`.",
            note: "none: every weight trains", allowed: ["lora", "qlora"]),
        Key("bnb_config_kwargs", Mapping, "Changes to the 4-bit storage.", children:
        [
            Key("bnb_4bit_quant_type", Text, "Code of the four bits.", "nf4", allowed: ["nf4", "fp4"]),
            Key("bnb_4bit_use_double_quant", KeyKind.Boolean, "Quantise the block scales to 8 bits as well.", "true"),
            BuiltIn("bnb_4bit_compute_dtype", Text,
                "products run in bf16 on a GPU and in fp32 on the CPU", "bfloat16", "float32"),
            BuiltIn("bnb_4bit_quant_storage", Text, "how Python packs the bytes does not change them"),
            Refuse("llm_int8_has_fp16_weight", KeyKind.Boolean, "8-bit frozen weights do not exist here"),
        ]),
    ];

    private static KeySpec[] LoraKeys() =>
    [
        Key("lora_r", Integer, "Rank of every adapted module.", note: "required with `adapter`",
            range: ValueRange.AtLeast(1)),
        Key("lora_alpha", Number, "Numerator of the scaling alpha / rank.", note: "required with `adapter`",
            range: ValueRange.Above(0)),
        Key("lora_dropout", Number, "Probability of zeroing an input element of the adapter.", "0.0",
            range: new ValueRange(0, 1, WithoutHigh: true)),
        Key("lora_target_modules", Text | TextList,
            "Modules that get an adapter, or `all-linear` for all seven projections.",
            note: "`[q_proj, v_proj]`, as in peft, unless `lora_target_linear`",
            allowed: [.. KnownNames.Projections, "all-linear"]),
        Key("lora_target_linear", KeyKind.Boolean, "Add every linear module but the output head.", "false"),
        Key("lora_model_dir", Text, "Folder of an adapter to start from."),
        Key("peft_use_rslora", KeyKind.Boolean, "Scale by alpha / sqrt(rank).", "false"),
        Key("loraplus_lr_ratio", Number, "Learning-rate ratio of B over A (LoRA+).", range: ValueRange.Above(0)),
        BuiltIn("loraplus_lr_embedding", Number, "embeddings get no adapter"),
        BuiltIn("lora_on_cpu", KeyKind.Boolean, "the adapter is read where there is room for it"),
        Refuse("lora_fan_in_fan_out", KeyKind.Boolean, "no supported model stores its weights transposed"),
        Refuse("lora_bias", KeyKind.Boolean | Text, "biases stay frozen, as in Axolotl's own default", "none"),
        Later("lora_modules_to_save", TextList, "training whole modules beside the adapter"),
        Later("lora_rank_pattern", Mapping, "a rank per module"),
        Later("lora_alpha_pattern", Mapping, "an alpha per module"),
        Later("peft_use_dora", KeyKind.Boolean, "DoRA, which also trains a magnitude per output row"),
        Later("peft_init_lora_weights", KeyKind.Boolean | Text,
            "another initialisation than Kaiming-uniform A and zero B", "true"),
        Later("peft_layers_to_transform", TextList | Integer, "adapters on some layers only"),
        Key("peft", Mapping, "Further settings of peft.", children:
        [
            Later("loftq_config", Mapping, "LoftQ initialisation"),
        ]),
    ];
}
