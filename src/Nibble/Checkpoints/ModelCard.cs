using System.Text;
using System.Text.Json;

namespace Nibble.Checkpoints;

/// <summary>Facts for the README.md beside an adapter or a model. Texts are printed as
/// they are: leave secrets out.</summary>
public sealed record ModelCard
{
    /// <summary>Version of Nibble that trained it.</summary>
    public required string NibbleVersion { get; init; }

    /// <summary>Data sets, by name or path.</summary>
    public IReadOnlyList<string> Datasets { get; init; } = [];

    /// <summary>Rows of the results table: name and value.</summary>
    public IReadOnlyList<(string Name, string Value)> Results { get; init; } = [];

    /// <summary>The training config, or null to leave it out.</summary>
    public string? ConfigYaml { get; init; }

    /// <summary>The card of an adapter.</summary>
    /// <param name="config">The adapter it describes.</param>
    public string ToMarkdown(LoraAdapterConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var text = new StringBuilder();
        var model = config.BaseModel ?? "unknown";
        Front(text, model, "peft", $"base_model:adapter:{model}", "lora", "nibble", "transformers");
        text.Append("# LoRA adapter for ").Append(model).Append("\n\n");
        text.Append("Rank ").Append(config.Rank).Append(", alpha ").Append(PythonJson.Number(config.Alpha));
        text.Append(config.RankStabilized ? ", rank-stabilised scaling" : "");
        text.Append(", on ").AppendJoin(", ", config.TargetModules).Append(".\n");
        Body(text);
        text.Append("- PEFT ").Append(AdapterConfigJson.PeftVersion).Append(" (file layout)\n");
        return text.ToString();
    }

    /// <summary>The card of a model whose every weight was trained.</summary>
    /// <param name="model">The model it describes.</param>
    public string ToMarkdown(FullModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var text = new StringBuilder();
        Front(
            text, model.BaseName, "transformers", $"base_model:finetune:{model.BaseName}",
            "nibble", "transformers");
        text.Append("# Fine-tuned from ").Append(model.BaseName).Append("\n\nEvery weight was trained.\n");
        Body(text);
        return text.ToString();
    }

    /// <summary>The card of a model into whose weights an adapter was merged.</summary>
    /// <param name="baseModel">Name or folder of the base model.</param>
    public string ToMergedMarkdown(string baseModel)
    {
        ArgumentNullException.ThrowIfNull(baseModel);
        var text = new StringBuilder();
        Front(text, baseModel, "transformers", $"base_model:finetune:{baseModel}", "nibble", "transformers");
        text.Append("# Fine-tuned from ").Append(baseModel);
        text.Append("\n\nA LoRA adapter was merged into the weights.\n");
        Body(text);
        return text.ToString();
    }

    private static void Front(StringBuilder text, string model, string library, params ReadOnlySpan<string> tags)
    {
        text.Append("---\n");
        text.Append("base_model: ").Append(Quote(model)).Append('\n');
        text.Append("library_name: ").Append(library).Append("\npipeline_tag: text-generation\ntags:\n");
        foreach (var tag in tags)
        {
            text.Append("- ").Append(Quote(tag)).Append('\n');
        }

        text.Append("---\n\n");
    }

    private void Body(StringBuilder text)
    {
        if (Datasets.Count > 0)
        {
            text.Append("\n## Training data\n\n");
            foreach (var dataset in Datasets)
            {
                text.Append("- ").Append(dataset).Append('\n');
            }
        }

        if (Results.Count > 0)
        {
            text.Append("\n## Results\n\n| | |\n|---|---|\n");
            foreach (var (name, value) in Results)
            {
                text.Append("| ").Append(name).Append(" | ").Append(value).Append(" |\n");
            }
        }

        if (ConfigYaml is not null)
        {
            // A fence longer than any in the config cannot be closed by it.
            var fence = new string('`', Math.Max(3, LongestRun(ConfigYaml) + 1));
            text.Append("\n<details><summary>Training config</summary>\n\n").Append(fence).Append("yaml\n");
            text.Append(ConfigYaml.TrimEnd()).Append('\n').Append(fence).Append("\n\n</details>\n");
        }

        text.Append("\n### Framework versions\n\n- Nibble ").Append(NibbleVersion).Append('\n');
    }

    // A JSON string is a YAML double-quoted scalar.
    private static string Quote(string value) => $"\"{JsonEncodedText.Encode(value)}\"";

    private static int LongestRun(string text)
    {
        var (longest, run) = (0, 0);
        foreach (var c in text)
        {
            run = c == '`' ? run + 1 : 0;
            longest = Math.Max(longest, run);
        }

        return longest;
    }
}
