namespace Nibble.Quality.Study;

/// <summary>A way to fine-tune.</summary>
/// <param name="Id">Name in files.</param>
/// <param name="Title">Name in tables.</param>
/// <param name="Short">Name in pictures.</param>
/// <param name="Yaml">Its lines of the run's YAML.</param>
/// <param name="Rates">Learning rates that are tried.</param>
internal sealed record Method(string Id, string Title, string Short, string Yaml, IReadOnlyList<double> Rates)
{
    private static readonly double[] AdapterRates = [1e-3, 2e-3, 4e-3, 8e-3];

    /// <summary>Whether an adapter is trained, and ranks mean something.</summary>
    public bool HasRank => Id != Full.Id;

    /// <summary>Every weight.</summary>
    public static Method Full { get; } = new("full", "full fine-tuning", "full", "", [2.5e-4, 5e-4, 1e-3, 2e-3]);

    /// <summary>Adapters on the weights as they are.</summary>
    public static Method Lora { get; } = new("lora", "LoRA, bf16 base", "LoRA", "adapter: lora\n", AdapterRates);

    /// <summary>Adapters on a base in NF4.</summary>
    public static Method Nf4 { get; } = new(
        "nf4", "QLoRA, NF4, double quantisation", "QLoRA NF4",
        "adapter: qlora\nload_in_4bit: true\n", AdapterRates);

    /// <summary>Adapters on a base in FP4, what <c>adapter: lora</c> with <c>load_in_4bit</c>
    /// gives under older defaults.</summary>
    public static Method Fp4 { get; } = new(
        "fp4", "QLoRA, FP4, no double quantisation", "QLoRA FP4",
        "adapter: lora\nload_in_4bit: true\nbnb_config_kwargs:\n"
        + "  bnb_4bit_quant_type: fp4\n  bnb_4bit_use_double_quant: false\n",
        AdapterRates);

    /// <summary>All, the yardstick first.</summary>
    public static IReadOnlyList<Method> All { get; } = [Full, Lora, Nf4, Fp4];

    /// <summary>The method of a name.</summary>
    /// <param name="id">Name in files.</param>
    public static Method Of(string id) => All.Single(m => m.Id == id);
}
