using Nibble.Config;

namespace Nibble.Tests.Config;

/// <summary>Small configurations that the tests change one key at a time.</summary>
internal static class Configs
{
    public const string File = "run.yml";

    /// <summary>Nothing but what is required.</summary>
    public const string Minimal = """
        base_model: model
        datasets:
          - path: train.jsonl
            type: completion
        learning_rate: 2e-4

        """;

    /// <summary>The same with an adapter and evaluation data.</summary>
    public const string Lora = Minimal + """
        adapter: lora
        lora_r: 8
        lora_alpha: 16
        test_datasets:
          - path: val.jsonl
            type: completion

        """;

    public static string Swap(this string text, string old, string replacement) =>
        text.Replace(old, replacement, StringComparison.Ordinal);

    public static RunConfig Of(string text) => ConfigLoader.Parse(text, File).Config;

    public static RunConfig Of(string text, params string[] flags) =>
        ConfigLoader.Parse(text, File, ConfigOverride.ParseArguments(flags)).Config;

    /// <summary>All findings of a configuration that must be refused.</summary>
    public static IReadOnlyList<ConfigFinding> Refused(string text, params string[] flags) => Assert
        .Throws<ConfigException>(() => ConfigLoader.Parse(text, File, ConfigOverride.ParseArguments(flags)))
        .Findings;

    /// <summary>The only finding.</summary>
    public static ConfigFinding RefusedOnce(string text, params string[] flags) => Assert.Single(Refused(text, flags));

    /// <summary>The line, from 1, of the first line that starts with a text.</summary>
    public static int LineOf(string text, string start) => Array.FindIndex(
        text.Split('\n'), line => line.StartsWith(start, StringComparison.Ordinal)) + 1;
}
