using System.Text.Json;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary><c>evaluate --answers</c> through the program.</summary>
public sealed class AnswerTests
{
    private const int Rows = 3;

    [Fact]
    public void Evaluate_WithAnswers_CountsAndWritesOneLinePerRow()
    {
        using var folder = new TemporaryFolder();
        var rows = folder.Write("rows.jsonl", string.Join('\n', Lines().Take(Rows)) + "\n");
        var file = Path.Combine(folder.Path, "answers", "base.jsonl");

        var result = NibbleProcess.Run(
            "evaluate", Examples.Nl2Bash, "--device", "cpu", "--base", "--answers", "--max-new-tokens", "5",
            "--out", file, "--json", "--test_datasets.0.path", rows);

        Assert.Equal(0, result.ExitCode);
        using var json = JsonDocument.Parse(result.Output);
        var answers = json.RootElement.GetProperty("answers");
        Assert.Equal(Rows, answers.GetProperty("rows").GetInt32());
        Assert.Equal(JsonValueKind.Null, answers.GetProperty("bash_syntax").ValueKind);
        var written = File.ReadLines(file).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(
            Lines().Take(Rows).Select(Reference).Order(StringComparer.Ordinal),
            written.Select(a => a.GetProperty("reference").GetString()).Order(StringComparer.Ordinal));
        Assert.Equal(
            answers.GetProperty("exact_match").GetDouble(),
            written.Count(a => a.GetProperty("exact_match").GetBoolean()) / (double)Rows);
        Assert.All(written, a => Assert.InRange(a.GetProperty("tokens").GetInt32(), 0, 5));
        Assert.All(
            written,
            a => Assert.EndsWith("assistant\n", a.GetProperty("prompt").GetString(), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--bash", "add --answers")]
    [InlineData("--max-new-tokens=5", "add --answers")]
    [InlineData("--out=x.jsonl", "add --answers")]
    [InlineData("--max-new-tokens=0", "expected 1 or more")]
    public void Evaluate_WithFlagsThatDoNotFit_SaysSo(string flag, string expected)
    {
        var result = NibbleProcess.Run("evaluate", Examples.Nl2Bash, "--base", flag);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains(expected, result.Error);
    }

    [Fact]
    public void Evaluate_OfRowsWithoutAPrompt_SaysWhyNothingCanBeAsked()
    {
        using var folder = new TemporaryFolder();
        var rows = folder.Write("rows.jsonl", "{\"text\": \"ls -l\"}\n");

        var result = NibbleProcess.Run(
            "evaluate", Examples.Nl2Bash, "--device", "cpu", "--base", "--answers", "--test_datasets.0.path", rows,
            "--test_datasets.0.type", "completion");

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("Answers need rows with turns", result.Error);
    }

    private static IEnumerable<string> Lines() =>
        File.ReadLines(Path.Combine(Path.GetDirectoryName(Examples.Nl2Bash)!, "val.jsonl"));

    private static string Reference(string line)
    {
        using var row = JsonDocument.Parse(line);
        return row.RootElement.GetProperty("messages").EnumerateArray().Last().GetProperty("content").GetString()!;
    }
}
