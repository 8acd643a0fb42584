using System.Text.Json;

namespace Nibble.Tests.Examples;

/// <summary>
/// What holds of the example's rows; <c>eng/examples/check_rows.sh</c> also parses every command with bash.
/// </summary>
public sealed class Nl2BashRowsTests
{
    [Fact]
    public void Rows_AreAsManyAsTheReadmeSays()
    {
        Assert.Equal(1944, Rows("train.jsonl").Count);
        Assert.Equal(279, Rows("val.jsonl").Count);
    }

    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("val.jsonl")]
    public void Rows_AreOneRequestAndOneShortCommandInAscii(string file) => Assert.All(Rows(file), row =>
    {
        Assert.True(row.Command.Length is > 0 and <= 120, row.Command);
        Assert.All(row.Request + row.Command, letter => Assert.InRange(letter, ' ', '~'));
        Assert.DoesNotContain("sudo", row.Command, StringComparison.Ordinal);
        Assert.DoesNotContain("rm -rf", row.Command, StringComparison.Ordinal);
    });

    [Fact]
    public void Rows_ValidationSharesNoRequestAndNoCommandWithTraining()
    {
        List<(string Request, string Command)> train = Rows("train.jsonl");
        List<(string Request, string Command)> validation = Rows("val.jsonl");
        Assert.Empty(train.Select(row => row.Request).Intersect(validation.Select(row => row.Request)));
        Assert.Empty(train.Select(row => row.Command).Intersect(validation.Select(row => row.Command)));
    }

    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("val.jsonl")]
    public void Rows_NoRequestIsRepeated(string file)
    {
        List<(string Request, string Command)> rows = Rows(file);
        Assert.Equal(rows.Count, rows.Select(row => row.Request.ToUpperInvariant()).Distinct().Count());
    }

    private static List<(string Request, string Command)> Rows(string file)
    {
        List<(string, string)> rows = [];
        foreach (string line in File.ReadLines(Path.Combine(Folder(), file)))
        {
            using JsonDocument row = JsonDocument.Parse(line);
            JsonElement messages = row.RootElement.GetProperty("messages");
            Assert.Equal(2, messages.GetArrayLength());
            rows.Add((Content(messages[0], "user"), Content(messages[1], "assistant")));
        }

        return rows;
    }

    private static string Content(JsonElement message, string role)
    {
        Assert.Equal(role, message.GetProperty("role").GetString());
        return message.GetProperty("content").GetString()!;
    }

    internal static string Folder()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Nibble.slnx")))
        {
            folder = folder.Parent;
        }

        Assert.NotNull(folder);
        return Path.Combine(folder.FullName, "examples", "nl2bash");
    }
}
