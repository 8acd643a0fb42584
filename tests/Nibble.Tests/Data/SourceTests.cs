using System.Text;
using CsCheck;
using Nibble.Data;
using Nibble.Data.Sources;

namespace Nibble.Tests.Data;

public sealed class SourceTests : IDisposable
{
    private readonly DataRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public void JsonRows_PrettyPrintedArray_KeepsTheLinesOfItsRows()
    {
        var path = _run.Write(
            "a.json", "\uFEFF[\n  {\"text\": \"a ] , } \\\" [\"},\r\n  {\n    \"text\": \"b\"\n  }\n]\n");
        var rows = JsonRows.Read(path).Select(row => (row.Origin, row.RequireText("text", ""))).ToList();
        Assert.Equal([(path + ":2", "a ] , } \" ["), (path + ":3", "b")], rows);
    }

    [Fact]
    public void JsonRows_BlankLinesAndCrlf_AreNoRows()
    {
        var path = _run.Write("a.jsonl", "\r\n{\"text\":\"a\"}\r\n\r\n  {\"text\":\"b\"}");
        Assert.Equal([path + ":2", path + ":4"], JsonRows.Read(path).Select(row => row.Origin));
    }

    [Fact]
    public void Csv_QuotedFields_MayHoldCommasQuotesAndLineBreaks()
    {
        var path = _run.Write("a.csv", "text,n\r\n\"a, \"\"b\"\"\r\nc\",1\r\nplain,\r\n");
        var rows = TableRows.ReadCsv(path)
            .Select(row => (row.Origin, row.RequireText("text", ""), row.RequireText("n", ""))).ToList();
        Assert.Equal([(path + ":2", "a, \"b\"\r\nc", "1"), (path + ":4", "plain", "")], rows);
    }

    [Theory]
    [InlineData("text,n\na\n", "a.csv:2: the record has 1 fields, the first line names 2: text, n")]
    [InlineData("text\n\"a\n", "a.csv:2: a quoted field that begins here never ends")]
    [InlineData("text\n\"a\"b\n", "'b' after the closing quote")]
    public void Csv_BadRecords_AreRefused(string content, string expected)
    {
        var path = _run.Write("a.csv", content);
        Assert.Contains(expected, Assert.Throws<DatasetException>(() => TableRows.ReadCsv(path).ToList()).Message);
    }

    [Fact]
    public void Csv_AnyFields_RoundTrip() =>
        Gen.String[Gen.Char["ab,\"\n\r '"], 0, 8].Array[3].Array[1, 6].Sample(records =>
        {
            // A record of one empty line has no fields; the first field always has something.
            var lines = records.Select(fields =>
                string.Join(',', fields.Select((f, i) => $"\"{(i == 0 ? "x" : "") + f.Replace("\"", "\"\"")}\"")));
            var path = _run.Write("p.csv", "a,b,c\n" + string.Join('\n', lines) + "\n");
            Assert.Equal(
                records.Select(fields => ("x" + fields[0], fields[1], fields[2])),
                TableRows.ReadCsv(path).Select(row => (
                    row.RequireText("a", ""), row.RequireText("b", ""), row.RequireText("c", ""))));
        }, iter: 200, threads: 1);

    [Fact]
    public void Lines_AroundTheBuffersEdge_AreWhole()
    {
        var builder = new StringBuilder();
        var expected = new List<string>();
        for (var i = 0; i < 40; i++)
        {
            expected.Add(new string((char)('a' + (i % 26)), (i * 9001) % 70000) + "é");
            builder.Append(expected[i]).Append('\n');
        }

        var path = _run.Write("a.txt", builder.ToString());
        Assert.Equal(expected, Utf8Lines.Read(path).Select(line => Encoding.UTF8.GetString(line.Bytes.Span)));
    }

    [Fact]
    public void Find_MissingFile_ListsWhatIsThere()
    {
        _run.Write("train.jsonl", "{}");
        var message = Assert.Throws<DatasetException>(
            () => DatasetFiles.Find(DataRun.Dataset(Path.Combine(_run.Folder, "trian.jsonl")), false)).Message;
        Assert.Contains("no such file or folder", message);
        Assert.Contains("Did you mean 'train.jsonl'?", message);
    }

    [Fact]
    public void Find_FolderWithSplits_TakesTheWantedOne()
    {
        var (train, test) = (_run.Write("my-train.jsonl", "{}"), _run.Write("test.csv", "a\n1"));
        Assert.Equal([train], DatasetFiles.Find(DataRun.Dataset(_run.Folder), isTest: false));
        Assert.Equal([test], DatasetFiles.Find(DataRun.Dataset(_run.Folder), isTest: true));
        Assert.Equal([train], DatasetFiles.Find(DataRun.Dataset(_run.Folder) with { Split = "train" }, isTest: true));
        var named = DataRun.Dataset(_run.Folder) with { DataFiles = ["test.csv", "my-train.jsonl"] };
        Assert.Equal([test, train], DatasetFiles.Find(named, isTest: false));
        Assert.Throws<DatasetException>(() =>
            DatasetFiles.Find(DataRun.Dataset(_run.Folder) with { Split = "validation" }, true));
    }
}
