namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>Making a tokenizer and an untrained model from the command line.</summary>
public sealed class NewModelTests
{
    [Fact]
    public void Init_ATokenizerTrainedBefore_GivesAModelThatARunAccepts()
    {
        using var folder = new TemporaryFolder();
        var model = Path.Combine(folder.Path, "model");
        var tokenizer = NibbleProcess.Run(
            "tokenizer", model, Path.Combine(Examples.Root, "examples", "nl2bash", "train.jsonl"));
        var init = NibbleProcess.Run(
            "init", model, "--layers", "1", "--hidden", "64", "--mlp", "128", "--head-dim", "16");

        Assert.Equal((0, ""), (tokenizer.ExitCode, tokenizer.Error));
        Assert.Equal((0, ""), (init.ExitCode, init.Error));
        Assert.Contains("2048 rows for 2048 ids", init.Output);
        var plan = NibbleProcess.Run("plan", Examples.Nl2Bash, "--base_model", model, "--device", "cpu");
        Assert.Equal((0, ""), (plan.ExitCode, plan.Error));
    }

    [Fact]
    public void Tokenizer_WhereOneIs_ExitsWith2AndLeavesItUnlessForced()
    {
        using var folder = new TemporaryFolder();
        var text = folder.Write("text.txt", "to be or not to be, that is the question");
        Assert.Equal(0, NibbleProcess.Run("tokenizer", folder.Path, text).ExitCode);
        var path = Path.Combine(folder.Path, "tokenizer.json");
        var before = File.ReadAllText(path);

        var refused = NibbleProcess.Run("tokenizer", folder.Path, text, "--minimum-frequency", "1");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("found one", refused.Error);
        Assert.Equal(before, File.ReadAllText(path));

        Assert.Equal(
            0, NibbleProcess.Run("tokenizer", folder.Path, text, "--minimum-frequency", "1", "--force").ExitCode);
        Assert.NotEqual(before, File.ReadAllText(path));
    }

    [Theory]
    [InlineData("tokenizer", "--vocabulary", "258", "at least 259")]
    [InlineData("init", "--range", "0", "a number above 0")]
    public void NewModel_ImpossibleNumber_ExitsWith2AndSaysWhatItTakes(
        string verb, string flag, string value, string expected)
    {
        using var folder = new TemporaryFolder();
        string[] files = verb == "tokenizer" ? [folder.Write("text.txt", "text")] : [];
        var result = NibbleProcess.Run([verb, folder.Path, .. files, flag, value]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
    }
}
