using System.Text.Json;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>Training benchmarks from the command line.</summary>
public sealed class BenchTests
{
    // What every weight adds to the ledger; on the CPU the weights are the masters.
    [Theory]
    [InlineData("--full", "every weight", "gradients")]
    [InlineData("--all-linear", "r=8 on 7 modules", "adapters, gradients")]
    public void Train_OfAShape_TimesStepsAndShowsTheLedger(string flag, string name, string gradients)
    {
        var result = NibbleProcess.Run(
            "bench", "train", "--shape", "tiny", "--seq", "8", "--rows", "2", "--steps", "3", "--device",
            "cpu", "--json", flag);
        Assert.Equal(0, result.ExitCode);
        using var json = JsonDocument.Parse(result.Output);
        var row = json.RootElement.GetProperty("results")[0];
        Assert.Contains(name, row.GetProperty("name").GetString());
        Assert.True(row.GetProperty("seconds_per_step").GetDouble() > 0);
        var ledger = row.GetProperty("ledger").EnumerateArray()
            .ToDictionary(i => i.GetProperty("item").GetString()!, i => i.GetProperty("bytes").GetInt64());
        Assert.Equal(row.GetProperty("ledger_bytes").GetInt64(), ledger.Values.Sum());
        Assert.True(ledger[gradients] > 0 && ledger["optimizer state"] > 0);
        if (flag == "--full")
        {
            Assert.Equal(ledger["weights"], ledger["gradients"]);
        }
    }

    [Theory]
    [InlineData("--full", "--rank", "4")]
    [InlineData("--suite", "--steps", "3")]
    [InlineData("--lengths=8,8", "--seq", "16")]
    public void Train_OptionWithoutMeaning_ExitsWith2AndNamesBoth(string with, string option, string value)
    {
        var result = NibbleProcess.Run("bench", "train", "--device", "cpu", with, option, value);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains($"{option} has no meaning with {with.Split('=')[0]}", result.Error);
    }
}
