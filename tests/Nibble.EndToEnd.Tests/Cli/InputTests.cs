using System.Text;
using System.Text.Json;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>Configs, rows and devices, good and bad, through the program.</summary>
public sealed class InputTests
{
    [Fact]
    public void Check_OfTheReferenceRun_AcceptsEveryKey()
    {
        var result = NibbleProcess.Run("check", Examples.ReferenceRun(), "--config-only", "--json");

        Assert.Equal(0, result.ExitCode);
        using var json = JsonDocument.Parse(result.Output);
        Assert.Empty(json.RootElement.GetProperty("warnings").EnumerateArray());
        var keys = json.RootElement.GetProperty("keys").EnumerateArray().ToList();
        Assert.NotEmpty(keys);
        Assert.All(
            keys, key => Assert.Contains(key.GetProperty("status").GetString(), new[] { "honoured", "equivalent" }));
    }

    [Fact]
    public void Check_OfTheReferenceRun_PrintsTheResolvedConfig()
    {
        var result = NibbleProcess.Run("check", Examples.ReferenceRun(), "--config-only", "--lora_r", "16");

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("bnb_4bit_quant_type: nf4", result.Output);
        Assert.Matches(@"lora_r: 16 +# flag --lora_r", result.Output);
        Assert.Matches(@"learning_rate +\| 0.0002 +\| line 78 +\| honoured", result.Output);
    }

    [Fact]
    public void Check_OfTheExample_ReadsEveryRow()
    {
        var result = NibbleProcess.Run("check", Examples.Nl2Bash, "--json");

        Assert.Equal(0, result.ExitCode);
        using var json = JsonDocument.Parse(result.Output);
        var train = json.RootElement.GetProperty("data").GetProperty("train");
        Assert.Equal(File.ReadLines(Path.Combine(Path.GetDirectoryName(Examples.Nl2Bash)!, "train.jsonl")).Count(),
            train.GetProperty("rows_read").GetInt32());
        Assert.InRange(train.GetProperty("trained_tokens").GetInt64(), 1, train.GetProperty("tokens").GetInt64() - 1);
    }

    [Fact]
    public void Plan_OfTheExample_AddsUpItsLedger()
    {
        var result = NibbleProcess.Run("plan", Examples.Nl2Bash, "--device", "cpu", "--json");

        Assert.Equal(0, result.ExitCode);
        using var json = JsonDocument.Parse(result.Output);
        var plan = json.RootElement.GetProperty("plan");
        Assert.Equal(
            plan.GetProperty("total_bytes").GetInt64(),
            plan.GetProperty("ledger").EnumerateArray().Sum(item => item.GetProperty("bytes").GetInt64()));
        Assert.True(json.RootElement.GetProperty("trainable_parameters").GetInt64() > 0);
    }

    [Fact]
    public void Plan_ForAnAssumedCard_NeedsNoCard()
    {
        var result = NibbleProcess.Run("plan", Examples.Nl2Bash, "--assume-gpu", "--gpu_memory_limit", "24GiB");

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("H100", result.Output);
        Assert.Contains("dequantisation scratch", result.Output);
    }

    [Fact]
    public void Plan_WithinTooSmallABudget_ExitsWith3AndSaysWhatHelps()
    {
        var result = NibbleProcess.Run("plan", Examples.Nl2Bash, "--device", "cpu", "--gpu_memory_limit", "1MiB");

        Assert.Equal(3, result.ExitCode);
        Assert.Contains("budget", result.Error);
        Assert.DoesNotContain("   at ", result.Error);
    }

    [Fact]
    public void Inspect_OfTheExample_MarksWhatTrainsAndTerminators()
    {
        var result = NibbleProcess.Run("inspect", Examples.Nl2Bash, "--rows", "1");

        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"\[\[[^\]]+\]\]", result.Output);
        Assert.Contains("trains, terminator", result.Output);
        Assert.Contains("-100", result.Output);
    }

    [Fact]
    public void Rows_WithInvalidJsonOnLine7_ExitWith2AndNameTheLine()
    {
        using var folder = new TemporaryFolder();
        var rows = new StringBuilder();
        for (var i = 1; i <= 8; i++)
        {
            rows.Append(i == 7
                ? "{\"messages\": [\n"
                : "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, "
                    + "{\"role\": \"assistant\", \"content\": \"b\"}]}\n");
        }

        var path = folder.Write("rows.jsonl", rows.ToString());

        var result = NibbleProcess.Run(
            "train", Examples.Nl2Bash, "--datasets.0.path", path, "--output_dir", Out(folder));

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("rows.jsonl:7", result.Error);
        Assert.False(Directory.Exists(Out(folder)));
    }

    [Fact]
    public void Model_NotThere_ExitsWith2AndWritesNothing()
    {
        using var folder = new TemporaryFolder();

        var result = NibbleProcess.Run(
            "train", Examples.Nl2Bash, "--base_model", "no-such-model", "--output_dir", Out(folder));

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("no-such-model", result.Error);
        Assert.False(Directory.Exists(Out(folder)));
    }

    [Fact]
    public void Train_OnACardThatIsNotHere_ExitsWith3()
    {
        using (var doctor = JsonDocument.Parse(NibbleProcess.Run("doctor", "--json").Output))
        {
            if (doctor.RootElement.GetProperty("uses_gpu").GetBoolean())
            {
                Assert.Skip("a usable card is here");
            }
        }

        using var folder = new TemporaryFolder();
        var result = NibbleProcess.Run("train", Examples.Nl2Bash, "--device", "cuda", "--output_dir", Out(folder));

        Assert.Equal(3, result.ExitCode);
        Assert.Contains("nibble doctor", result.Error);
    }

    [Fact]
    public void Generate_WithoutAnAdapter_ExitsWith2AndOffersTheBase()
    {
        using var folder = new TemporaryFolder();

        var result = NibbleProcess.Run(
            "generate", Examples.Nl2Bash, "--output_dir", Out(folder), "--prompt", "list files");

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--base", result.Error);
    }

    [Fact]
    public void Selftest_OfOneOpOnTheProcessor_Agrees()
    {
        var result = NibbleProcess.Run("selftest", "--device", "cpu", "--filter", "rope");

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("cases agree with the reference", result.Output);
    }

    private static string Out(TemporaryFolder folder) => Path.Combine(folder.Path, "out");
}
