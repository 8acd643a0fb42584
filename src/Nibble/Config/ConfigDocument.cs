using System.Text;

namespace Nibble.Config;

/// <summary>Writes <c>docs/config.md</c> from the key table. A test compares the two.</summary>
internal static class ConfigDocument
{
    private const string Head = """
        # Configuration

        Made from the key table in `src/Nibble/Config`; do not edit. To make it again:
        `NIBBLE_REGENERATE=1 dotnet run --project tests/Nibble.Tests -- -class "*ConfigDocumentTests"`.

        A run is one YAML file with the keys people know from Axolotl. `nibble check run.yml` shows what each key of a
        file means, and the whole resolved run.

        - **Flags.** Any key can be given as a flag, which wins over the file: `--learning_rate 1e-4`, `--seed=7`,
          `--sample_packing` (true), `--datasets.0.path data.jsonl`, `--nibble.device cpu`,
          `--lora_target_modules q_proj,v_proj`, `--special_tokens '{pad_token: "<pad>"}'`. `--lora_model_dir null`
          unsets a key. Hyphens stand for underscores.
        - **Nothing is ignored.** An unknown key is an error that names the nearest known one; `--lenient` makes it a
          warning. A refused key passes while it is off: `false`, `null`, an empty list.
        - **Values.** Empty and `null` mean absent. `yes`, `no`, `on`, `off` are booleans. Numbers may be written `1e-4`
          or `1_000`. A number where text is wanted needs quotes.
        - **Paths** of models, adapters, checkpoints and data are used as given when they exist from the working
          directory, else from the folder of the config file when they exist there, else as given. Paths given as flags,
          and `output_dir`, are always taken from the working directory.
        - **Secrets** do not belong here: keys that look like credentials are refused. Use the environment.

        Status: **honoured** does what it says · **built in** is accepted and needs nothing · **refused** says why ·
        **later** is refused until it is supported.

        """;

    public static string Generate()
    {
        var page = new StringBuilder(Head.ReplaceLineEndings("\n"));
        foreach (var (title, keys) in KeyTable.Topics)
        {
            page.Append("\n## ").Append(title).Append('\n');
            Table(page, keys);
            foreach (var key in keys.Where(key => key.Children is not null && key.Name != "test_datasets"))
            {
                Below(page, key, key.Name);
            }
        }

        return page.ToString();
    }

    private static void Below(StringBuilder page, KeySpec key, string path)
    {
        var entries = (key.Kind & KeyKind.EntryList) != 0;
        page.Append("\n### ").Append(path).Append(entries ? "[]" : "").Append('\n');
        if (path == "datasets")
        {
            page.Append("\nThe same keys in `test_datasets[]`.\n");
        }

        Table(page, key.Children!.Keys);
        foreach (var child in key.Children.Keys.Where(child => child.Children is not null))
        {
            Below(page, child, $"{path}{(entries ? "[]" : "")}.{child.Name}");
        }
    }

    private static void Table(StringBuilder page, IReadOnlyList<KeySpec> keys)
    {
        page.Append("\n| key | takes | default | status | meaning |\n|---|---|---|---|---|\n");
        foreach (var key in keys)
        {
            page.Append("| `").Append(key.Name).Append('`');
            foreach (var alias in key.Aliases)
            {
                page.Append(", `").Append(alias).Append('`');
            }

            page.Append(" | ").Append(Takes(key)).Append(" | ");
            page.Append(key.Default is not null ? $"`{key.Default}`" : key.DefaultNote ?? "");
            page.Append(" | ").Append(StatusOf(key.Status)).Append(" | ").Append(Meaning(key)).Append(" |\n");
        }
    }

    private static string Takes(KeySpec key)
    {
        if (key.Allowed.Count == 0)
        {
            return key.Kind == KeyKind.Anything ? "anything" : key.Expectation;
        }

        var names = string.Join(", ", key.Allowed.Select(name => $"`{name}`"));
        return (key.Kind & KeyKind.TextList) != 0 ? $"one or a list of {names}" : names;
    }

    private static string Meaning(KeySpec key)
    {
        var sentence = key.Doc.EndsWith('.') ? key.Doc : key.Doc + ".";
        if (key.Status != KeyStatus.Later && !sentence.StartsWith('`'))
        {
            sentence = char.ToUpperInvariant(sentence[0]) + sentence[1..];
        }

        var off = key.Off.Count > 0 ? $" Passes as {string.Join(", ", key.Off.Select(value => $"`{value}`"))}." : "";
        return key.Status == KeyStatus.Later ? $"Not supported yet: {sentence}{off}" : sentence + off;
    }

    private static string StatusOf(KeyStatus status) => status switch
    {
        KeyStatus.Honoured => "honoured",
        KeyStatus.Equivalent => "built in",
        KeyStatus.Refused => "refused",
        _ => "later",
    };
}
