namespace Nibble.Config;

/// <summary>
/// Name lists the key table is made from. Apart from the table, because the order in which the parts of one static
/// class initialise is not defined.
/// </summary>
internal static class KnownNames
{
    /// <summary>
    /// Projections of a decoder layer, in the order the layer uses them: every linear but the output head.
    /// </summary>
    public static IReadOnlyList<string> Projections { get; } =
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>Values of <c>type</c> in a dataset entry.</summary>
    public static IReadOnlyList<string> DatasetTypes { get; } =
        ["completion", "alpaca", "chat_template", "input_output"];

    /// <summary>Keys of a user-defined dataset type.</summary>
    public static IReadOnlyList<string> UserDefinedTypeKeys { get; } =
    [
        "field_instruction", "field_input", "field_output", "field_system", "format", "no_input_format",
        "system_prompt", "system_format", "field",
    ];

    /// <summary>Optimizer names, what each selects, and whether it asks for paged states.</summary>
    public static IReadOnlyDictionary<string, (OptimizerKind Kind, bool Paged)> Optimizers { get; } =
        new Dictionary<string, (OptimizerKind, bool)>
        {
            ["adamw_torch_fused"] = (OptimizerKind.AdamW, false),
            ["adamw_torch"] = (OptimizerKind.AdamW, false),
            ["adamw_hf"] = (OptimizerKind.AdamW, false),
            ["adamw_bnb_8bit"] = (OptimizerKind.AdamW8Bit, false),
            ["adamw_8bit"] = (OptimizerKind.AdamW8Bit, false),
            ["paged_adamw_8bit"] = (OptimizerKind.AdamW8Bit, true),
            ["paged_adamw_32bit"] = (OptimizerKind.AdamW, true),
            ["paged_adamw"] = (OptimizerKind.AdamW, true),
        };
}
