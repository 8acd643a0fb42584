using System.Text.Json;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>What the program says when it is asked wrongly, and which exit code it leaves.</summary>
public sealed class UsageTests
{
    private static readonly string[] Verbs =
    [
        "train", "plan", "check", "inspect", "evaluate", "generate", "chat", "validate", "tokenizer", "init", "doctor",
        "selftest", "overlap", "bench", "trace",
    ];

    [Fact]
    public void Help_Root_ListsEveryVerbAndExitCode()
    {
        var result = NibbleProcess.Run("--help");

        Assert.Equal(0, result.ExitCode);
        Assert.All(Verbs, verb => Assert.Contains($"\n  {verb}", result.Output));
        Assert.Contains("130 interrupted", result.Output);
    }

    [Fact]
    public void Help_OfAVerbOverAConfig_SaysThatKeysAreFlags()
    {
        var result = NibbleProcess.Run("train", "--help");

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("nibble train <config> [options] [--key value", result.Output);
        Assert.Contains("--datasets.0.path", result.Output);
    }

    [Fact]
    public void Verb_Missing_ExitsWith2AndListsVerbs()
    {
        var result = NibbleProcess.Run();

        Refused(result);
        Assert.All(Verbs, verb => Assert.Contains(verb, result.Error));
    }

    [Fact]
    public void Verb_Mistyped_ExitsWith2AndNamesTheNearest()
    {
        var result = NibbleProcess.Run("trian", "run.yml");

        Refused(result);
        Assert.Contains("Did you mean 'train'?", result.Error);
    }

    [Fact]
    public void Config_NotGiven_ExitsWith2() => Refused(NibbleProcess.Run("train"));

    [Fact]
    public void Config_NotThere_ExitsWith2AndNamesTheFile()
    {
        var result = NibbleProcess.Run("train", "no-such-run.yml");

        Refused(result);
        Assert.Equal("error: no-such-run.yml: there is no such file.\n", result.Error);
    }

    [Fact]
    public void Keys_BeforeTheConfig_ExitWith2AndSayTheOrder()
    {
        var result = NibbleProcess.Run("train", "--lora_r", "16", "run.yml");

        Refused(result);
        Assert.Contains("nibble train <config> --lora_r", result.Error);
    }

    [Theory]
    [InlineData("train")]
    [InlineData("plan")]
    [InlineData("check")]
    [InlineData("inspect")]
    [InlineData("evaluate")]
    [InlineData("generate")]
    [InlineData("chat")]
    public void Config_WithSeveralMistakes_ExitsWith2AndShowsAllAtOnce(string verb)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("bad.yml", "base_model: m\nlora_rank: 3\nlearning_rate: fast\n");

        var result = NibbleProcess.Run(verb, path, "--lora_q", "1");

        Refused(result);
        Assert.Contains("bad.yml:2:1: lora_rank: unknown key. Did you mean 'lora_r'?", result.Error);
        Assert.Contains("bad.yml:3:16: learning_rate:", result.Error);
        Assert.Contains("datasets: the key is required", result.Error);
        Assert.Contains("flag --lora_q: unknown key", result.Error);
    }

    [Fact]
    public void Check_OfABadConfigAsJson_ListsErrorsAndKeys()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("bad.yml", "base_model: m\nlora_rank: 3\n");

        var result = NibbleProcess.Run("check", path, "--json");

        Assert.Equal(2, result.ExitCode);
        using var json = JsonDocument.Parse(result.Output);
        Assert.False(json.RootElement.GetProperty("ok").GetBoolean());
        Assert.Contains(
            json.RootElement.GetProperty("errors").EnumerateArray(),
            e => e.GetProperty("key").GetString() == "lora_rank" && e.GetProperty("nearest").GetString() == "lora_r"
                && e.GetProperty("line").GetInt32() == 2);
    }

    [Fact]
    public void Validate_OfNoFolder_ExitsWith2() => Refused(NibbleProcess.Run("validate", "no-such-folder"));

    [Fact]
    public void Generate_WithContradictingFlags_ExitsWith2()
    {
        var result = NibbleProcess.Run("generate", Examples.Nl2Bash, "--base", "--adapter", "x", "--prompt", "p");

        Refused(result);
        Assert.Contains("--base and --adapter exclude each other", result.Error);
    }

    [Fact]
    public void Selftest_WithAFilterThatFitsNothing_ExitsWith2() =>
        Refused(NibbleProcess.Run("selftest", "--device", "cpu", "--filter", "no such op"));

    // One clear message on standard error, nothing on standard output that a script could take for a result.
    private static void Refused(ProcessResult result)
    {
        Assert.Equal(2, result.ExitCode);
        Assert.NotEmpty(result.Error);
        Assert.DoesNotContain("   at ", result.Error);
    }
}
