namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>Looking for held-out rows from the command line.</summary>
public sealed class OverlapTests
{
    private const string Leaked = """{"text": "list every file below the folder reports that is larger than 20 MB"}""";
    private const string Other = """{"text": "print the third column of a table of prices, sorted by the second"}""";

    [Fact]
    public void Overlap_LeakedRow_ExitsWith1AndNamesBothPlaces()
    {
        using var folder = new TemporaryFolder();
        var train = folder.Write("train.jsonl", $"{Other}\n{Leaked}\n");
        var heldOut = folder.Write("val.jsonl", $"{Leaked}\n");

        var result = NibbleProcess.Run("overlap", train, "--held-out", heldOut);

        Assert.Equal(1, result.ExitCode);
        Assert.Contains($"{heldOut}:1 in {train}:2", result.Output);
    }

    [Fact]
    public void Overlap_Drop_WritesTheOtherRowsAndLeavesNoTemporaryFile()
    {
        using var folder = new TemporaryFolder();
        var train = folder.Write("train.jsonl", $"{Other}\n{Leaked}\n");
        var heldOut = folder.Write("val.jsonl", $"{Leaked}\n");
        var clean = Path.Combine(folder.Path, "clean.jsonl");

        var result = NibbleProcess.Run("overlap", train, "--held-out", heldOut, "--drop", clean);

        Assert.Equal(0, result.ExitCode);
        var line = Assert.Single(File.ReadAllLines(clean));
        Assert.Contains("third column", line);
        Assert.Equal(3, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("val.jsonl")]
    public void Overlap_DropOntoAFileThatIsRead_ExitsWith2AndKeepsIt(string name)
    {
        using var folder = new TemporaryFolder();
        var train = folder.Write("train.jsonl", $"{Leaked}\n");
        var heldOut = folder.Write("val.jsonl", $"{Leaked}\n");

        var result = NibbleProcess.Run(
            "overlap", train, "--held-out", heldOut, "--drop", Path.Combine(folder.Path, ".", name));

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("--drop would overwrite", result.Error);
        Assert.Equal($"{Leaked}\n", File.ReadAllText(Path.Combine(folder.Path, name)));
    }

    [Fact]
    public void Overlap_DropOfRowsAndText_ExitsWith2AndWritesNothing()
    {
        using var folder = new TemporaryFolder();
        var (rows, text) = (folder.Write("train.jsonl", $"{Other}\n"), folder.Write("manual.txt", "a manual\n"));
        var heldOut = folder.Write("val.jsonl", $"{Leaked}\n");
        var clean = Path.Combine(folder.Path, "clean.jsonl");

        var result = NibbleProcess.Run("overlap", rows, text, "--held-out", heldOut, "--drop", clean);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("rows or plain text", result.Error);
        Assert.Equal(3, Directory.GetFileSystemEntries(folder.Path).Length);
    }

    [Fact]
    public void Overlap_Folder_ExitsWith2AndSaysSo()
    {
        using var folder = new TemporaryFolder();
        var heldOut = folder.Write("val.jsonl", $"{Leaked}\n");

        var result = NibbleProcess.Run("overlap", folder.Path, "--held-out", heldOut);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("this is a folder", result.Error);
    }
}
