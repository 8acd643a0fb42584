using System.Text;
using System.Text.Json;
using Nibble.Data;
using Nibble.Data.Overlap;

namespace Nibble.Tests.Data.Overlap;

public sealed class OverlapFinderTests : IDisposable
{
    private const string Request =
        "rename every jpeg file in the folder holiday so that its name starts with the word beach";
    private const string Command = "for f in holiday/*.jpeg; do mv \"$f\" \"holiday/beach-${f##*/}\"; done";

    private readonly string _folder = Directory.CreateTempSubdirectory("nibble-overlap-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Scan_TheSameRow_IsFound()
    {
        var report = Scan(Chat(Request, Command), Chat("list the files", "ls"), Chat(Request, Command));
        var finding = Assert.Single(report.Findings);
        Assert.Equal((1.0, OverlapKind.NearDuplicate), (finding.Containment, finding.Kind));
        Assert.EndsWith("train.jsonl:2", finding.Where, StringComparison.Ordinal);
        Assert.EndsWith("held.jsonl:1", finding.HeldOut, StringComparison.Ordinal);
        Assert.Equal((2, 1, 1), (report.Passages, report.Dropped, report.HeldOutRows));
    }

    [Fact]
    public void Scan_OtherCaseSpacesQuotesAndFullStops_IsTheSameRow()
    {
        var changed = Chat(
            "  " + Request.ToUpperInvariant() + ".", Command.Replace('"', '\'').Replace(" do ", "  DO\n "));
        Assert.Equal(1.0, Assert.Single(Scan(Chat(Request, Command), changed).Findings).Containment);
    }

    [Fact]
    public void Scan_OneWordChangedInALongRow_IsFound()
    {
        var report = Scan(Chat(Request, Command), Chat(Request.Replace("folder", "directory"), Command));
        Assert.InRange(Assert.Single(report.Findings).Containment, OverlapFinder.DefaultThreshold, 0.99);
    }

    [Fact]
    public void Scan_SlotValueChangedInALongRow_IsFound()
    {
        // "beach" stands once in the request and once in the command: six of 38 shingles.
        var report = Scan(
            Chat(Request, Command), Chat(Request.Replace("beach", "sea"), Command.Replace("beach", "sea")));
        Assert.InRange(Assert.Single(report.Findings).Containment, OverlapFinder.DefaultThreshold, 0.99);
    }

    [Fact]
    public void Scan_SlotValuesChangedInAShortRow_IsAnotherRow()
    {
        var report = Scan(
            Chat("count the lines of server.log", "wc -l server.log"),
            Chat("count the lines of mail.txt", "wc -l mail.txt"));
        Assert.Empty(report.Findings);
        Assert.InRange(report.Closest!.Containment, 0.2, 0.6);
    }

    [Theory]
    [InlineData("rename the holiday pictures", Command, OverlapKind.SameAnswer)]
    [InlineData(Request, "rename 's/^/beach-/' holiday/*", OverlapKind.SameRequest)]
    public void Scan_OneHalfOfTheRowIsTheSame_IsFoundByThatHalf(string request, string command, OverlapKind kind)
    {
        var finding = Assert.Single(Scan(Chat(Request, Command), Chat(request, command)).Findings);
        Assert.Equal(kind, finding.Kind);
        Assert.InRange(finding.Containment, 0.3, OverlapFinder.DefaultThreshold);
    }

    [Fact]
    public void Scan_ShortCommandUnderAnotherRequest_IsCommonProperty() => Assert.Empty(
        Scan(
            Chat("show the disk usage of this folder", "du -sh ."),
            Chat("how big is everything here?", "du -sh .")).Findings);

    [Fact]
    public void Scan_UnrelatedRows_ShareNothing()
    {
        var report = Scan(Chat(Request, Command), Chat("print the date", "date +%F"));
        Assert.Empty(report.Findings);
        Assert.Null(report.Closest);
    }

    [Fact]
    public void Scan_SystemTurns_AreNoPartOfTheHeldOutRow()
    {
        var held = "{\"conversations\": [{\"from\": \"system\", "
            + "\"value\": \"You answer with one command and nothing else at all.\"}, "
            + "{\"from\": \"human\", \"value\": \"how much space is left here\"}, "
            + "{\"from\": \"gpt\", \"value\": \"df -h .\"}]}";
        Assert.Equal(
            1.0, Assert.Single(Scan(held, Chat("How much space is left here?", "df -h .")).Findings).Containment);
        Assert.Empty(Scan(held, Chat("You answer with one command and nothing else at all.", "ls")).Findings);
    }

    [Fact]
    public void Scan_WordsFarApart_AreNotTheRow()
    {
        var filler = string.Concat(Enumerable.Range(0, 200).Select(number => $"filler{number} "));
        var text = JsonSerializer.Serialize(
            new Dictionary<string, string> { ["text"] = Request + ". " + filler + Command });
        Assert.DoesNotContain(Scan(Chat(Request, Command), text).Findings, f => f.Kind == OverlapKind.NearDuplicate);
    }

    [Fact]
    public void Scan_RowAmongOthersInOneLongText_IsFound()
    {
        var filler = string.Concat(Enumerable.Range(0, 500).Select(number => $"filler{number} "));
        var text = JsonSerializer.Serialize(
            new Dictionary<string, string> { ["text"] = $"{filler}\n# {Request}\n{Command}\n{filler}" });
        Assert.Single(Scan(Chat(Request, Command), text).Findings);
    }

    [Fact]
    public void Scan_PlainText_FindsARowOverTwoParagraphsAndDropsBoth()
    {
        var held = Write("held.jsonl", Chat(Request, Command));
        var text = Write("book.txt", $"One way.\n\nTo {Request}:\n\n    {Command}\n\nThe end.\nReally.\n");
        using var kept = new MemoryStream();
        var report = new OverlapFinder([held]).Scan([text], kept, TestContext.Current.CancellationToken);
        Assert.Equal("One way.\n\nThe end.\nReally.\n", Encoding.UTF8.GetString(kept.ToArray()));
        Assert.Equal((4, 2, 1), (report.Passages, report.Dropped, report.HeldOutRows));
        Assert.EndsWith("book.txt:3", Assert.Single(report.Findings).Where, StringComparison.Ordinal);
    }

    [Fact]
    public void Scan_KeptRows_AreWrittenAsTheyStandAndHoldNothing()
    {
        var other = "{\"text\":  \"caf\\u00e9 au lait\", \"n\": [1, 2]}";
        var held = Write("held.jsonl", Chat(Request, Command));
        var train = Write("train.jsonl", other, Chat(Request, Command), Chat("list the files", "ls"));
        using var kept = new MemoryStream();
        new OverlapFinder([held]).Scan([train], kept, TestContext.Current.CancellationToken);
        Assert.Equal(other + "\n" + Chat("list the files", "ls") + "\n", Encoding.UTF8.GetString(kept.ToArray()));
        var clean = Path.Combine(_folder, "clean.jsonl");
        File.WriteAllBytes(clean, kept.ToArray());
        Assert.Equal(
            0, new OverlapFinder([held]).Scan([clean], null, TestContext.Current.CancellationToken).HeldOutRows);
    }

    [Fact]
    public void Threshold_DecidesWhatCounts()
    {
        var (held, changed) = (Chat(Request, "beach-all"), Chat(Request.Replace("holiday", "attic"), "sea-all"));
        Assert.Empty(Scan(0.95, held, changed).Findings);
        Assert.Single(Scan(0.5, held, changed).Findings);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1.01)]
    [InlineData(double.NaN)]
    public void Threshold_OutsideItsRange_IsRefused(double threshold) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new OverlapFinder([], threshold));

    [Fact]
    public void HeldOut_WithoutText_IsRefused() => Assert.Contains(
        "no row with text",
        Assert.Throws<DatasetException>(() => new OverlapFinder([Write("held.jsonl", "{\"n\": 1}")])).Message,
        StringComparison.Ordinal);

    private static string Chat(string request, string command) =>
        JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["messages"] = new[]
            {
                new Dictionary<string, string> { ["role"] = "user", ["content"] = request },
                new Dictionary<string, string> { ["role"] = "assistant", ["content"] = command },
            },
        });

    private OverlapReport Scan(string held, params string[] train) => Scan(OverlapFinder.DefaultThreshold, held, train);

    private OverlapReport Scan(double threshold, string held, params string[] train) =>
        new OverlapFinder([Write("held.jsonl", held)], threshold)
            .Scan([Write("train.jsonl", train)], null, TestContext.Current.CancellationToken);

    private string Write(string name, params string[] lines)
    {
        var path = Path.Combine(_folder, name);
        File.WriteAllText(
            path, string.Join('\n', lines) + (name.EndsWith(".txt", StringComparison.Ordinal) ? "" : "\n"));
        return path;
    }
}
