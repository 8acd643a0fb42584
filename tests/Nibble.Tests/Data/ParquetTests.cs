using System.Text.Json;
using Nibble.Data;
using Nibble.Data.Sources;
using Parquet;
using Parquet.Schema;

namespace Nibble.Tests.Data;

/// <summary>Files of Arrow's C++ writer beside the same rows as JSON lines
/// (<c>eng/goldens/make_parquet_goldens.cs</c>), and files written here for what that writer does not write.</summary>
public sealed class ParquetTests : IDisposable
{
    private readonly DataRun _run = new();

    public void Dispose() => _run.Dispose();

    [Theory]
    [InlineData("chat")]
    [InlineData("tools")]
    [InlineData("sharegpt")]
    [InlineData("alpaca")]
    [InlineData("segments")]
    [InlineData("tokens")]
    [InlineData("completion")]
    [InlineData("types")]
    [InlineData("types-plain")]
    [InlineData("encodings")]
    [InlineData("pages-v2")]
    public void Read_FileOfArrow_GivesTheRowsOfItsJsonLines(string name)
    {
        var path = Golden(name + ".parquet");
        var expected = File.ReadAllLines(Golden(name + ".jsonl"));
        var number = 0;
        foreach (var row in ParquetRows.Read(path))
        {
            using var document = JsonDocument.Parse(expected[number++]);
            Assert.True(
                JsonElement.DeepEquals(document.RootElement, row.Value),
                $"row {number}: expected {document.RootElement.GetRawText()}, found {row.Value.GetRawText()}");
            Assert.Equal($"{path}:{number}", row.Origin);
        }

        Assert.Equal(expected.Length, number);
    }

    [Fact]
    public void Read_Numbers_KeepTheirDigitsAndKind()
    {
        var row = ParquetRows.Read(Golden("types.parquet")).Select(row => row.Value.Clone()).First();
        Assert.Equal("-12.30", row.GetProperty("price").GetRawText());
        Assert.Equal("1234567890123456789012345678.0123456789", row.GetProperty("big").GetRawText());
        Assert.Equal("18446744073709551615", row.GetProperty("u64").GetRawText());
        Assert.Equal("1.0", row.GetProperty("nested").GetProperty("point").GetProperty("x").GetRawText());
    }

    [Theory]
    [InlineData("completion", "completion")]
    [InlineData("alpaca", "alpaca")]
    [InlineData("segments", "input_output")]
    [InlineData("tokens", null)]
    [InlineData("chat", "chat_template")]
    [InlineData("sharegpt", "chat_template")]
    public void Build_EveryFormat_MakesTheSamplesOfItsJsonLines(string name, string? type)
    {
        var (expected, found) = (Samples(".jsonl"), Samples(".parquet"));
        Assert.NotEmpty(expected);
        Assert.Equal(expected.Length, found.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i].InputIds, found[i].InputIds);
            Assert.Equal(expected[i].Labels, found[i].Labels);
            Assert.EndsWith($".parquet:{i + 1}", found[i].Origin);
        }

        Sample[] Samples(string extension)
        {
            var dataset = DataRun.Dataset(Golden(name + extension), type);
            if (name == "sharegpt")
            {
                dataset = dataset with
                {
                    FieldMessages = "conversations",
                    MessageProperties = new Dictionary<string, string> { ["role"] = "from", ["content"] = "value" },
                };
            }

            return [.. DataRun.Build(DataRun.Data(dataset) with { ChatTemplate = "chatml" }, lost: 1).Train];
        }
    }

    [Fact]
    public void Build_BadRowInALaterRowGroup_NamesFileAndRow()
    {
        var path = WriteText("a.parquet", ["one", "two", "three", null, "five"], perGroup: 2);
        var message = DataRun.Refusal(DataRun.Data(DataRun.Dataset(path)));
        Assert.StartsWith($"{path}:4: field 'text' is null; it has text.", message);
    }

    [Theory]
    [InlineData(CompressionMethod.None)]
    [InlineData(CompressionMethod.Snappy)]
    [InlineData(CompressionMethod.Gzip)]
    [InlineData(CompressionMethod.Brotli)]
    [InlineData(CompressionMethod.Zstd)]
    [InlineData(CompressionMethod.Lz4Raw)]
    public void Read_EveryCompression_GivesTheText(CompressionMethod method)
    {
        string?[] texts = [.. Enumerable.Range(0, 500).Select(i => i % 9 == 0 ? null : $"text {i % 50} é")];
        var path = WriteText("a.parquet", texts, perGroup: 200, method);
        Assert.Equal(texts, ParquetRows.Read(path).Select(row => row.FindText("text")).ToArray());
    }

    [Fact]
    public void Read_BytesOfNoType_AreTextOrOnlyCounted()
    {
        var path = Write("a.parquet", new DataField<byte[]>("data"), async (group, field) =>
            await group.WriteAsync(field, new List<byte[]?>(["ok é"u8.ToArray(), null, [0xFF, 0xD8, 0]])));
        Assert.Equal(
            ["\"ok é\"", "null", "{\"bytes\":3}"],
            ParquetRows.Read(path).Select(row => row.Value.GetProperty("data").GetRawText()).ToArray());
    }

    [Fact]
    public void Read_FloatsThatAreNoNumbers_AreNull()
    {
        var path = Write("a.parquet", new DataField<double>("x"), async (group, field) =>
            await group.WriteAsync<double>(field, new[] { double.NaN, double.PositiveInfinity, 1e20, 3 }.AsMemory()));
        Assert.Equal(
            ["null", "null", "1E+20", "3.0"],
            ParquetRows.Read(path).Select(row => row.Value.GetProperty("x").GetRawText()).ToArray());
    }

    [Fact]
    public void Read_FileWithoutRows_SaysSo()
    {
        var path = WriteText("a.parquet", [], perGroup: 1);
        var error = Assert.Throws<DatasetException>(() => DatasetFiles.Read(DataRun.Dataset(path), false).ToList());
        Assert.Contains("the file has no rows", error.Message);
    }

    [Theory]
    [InlineData("encrypted", "the file is encrypted")]
    [InlineData("encrypted-columns", "signed because columns are encrypted")]
    [InlineData("pages-v2-flags", "row group 1 of 1, column 'flag': its encoding RLE is not read for this type")]
    [InlineData("pages-v2-lists", "row group 1 of 1, column 'tags.list.element': it is damaged, or written")]
    [InlineData("lz4-frames", "row group 1 of 1, column 'text': its compression LZ4 is not read; uncompressed, snappy")]
    [InlineData("stamps-split", "column 'at': its encoding BYTE_STREAM_SPLIT is not read for this type")]
    public void Read_WhatIsNotRead_IsNamedWithWhatToDo(string name, string expected)
    {
        var path = Golden(name + ".parquet");
        var message = Refusal(path);
        Assert.StartsWith(path + ": ", message);
        Assert.Contains(expected, message);
        Assert.Contains("rite it again", message);
    }

    [Theory]
    [InlineData("", "no Parquet file: expected the bytes 50415231 ('PAR1') at the start, found an empty file")]
    [InlineData("{\"text\":1}", "found 7B227465. If it is of another kind, set ds_type")]
    [InlineData("PAR1", "the Parquet file is cut off")]
    [InlineData("PAR1....\u0001\0\0\0PAR1", "the footer does not end as it should")]
    [InlineData("PAR1...\0\u0001\0\0\0PAR1", "the footer: it ")]
    public void Read_OtherFiles_AreTold(string content, string expected) =>
        Assert.Contains(expected, Refusal(_run.Write("a.parquet", content)));

    [Fact]
    public void Read_FileCutAnywhere_IsRefused()
    {
        var bytes = File.ReadAllBytes(Golden("chat.parquet"));
        for (var length = 0; length < bytes.Length; length += 7)
        {
            Assert.StartsWith(_run.Folder, Refusal(_run.Write("a.parquet", bytes[..length])));
        }
    }

    [Theory]
    [InlineData("chat")]
    [InlineData("types")]
    [InlineData("encodings")]
    public void Read_DamagedByte_IsReadOrRefusedWithTheFile(string name)
    {
        var bytes = File.ReadAllBytes(Golden(name + ".parquet"));
        var refused = 0;
        for (var at = 0; at < bytes.Length; at += 11)
        {
            var damaged = (byte[])bytes.Clone();
            damaged[at] ^= (byte)(1 << (at % 8));
            var path = _run.Write("a.parquet", damaged);
            try
            {
                Assert.InRange(ParquetRows.Read(path).Count(), 0, 1000);
            }
            catch (DatasetException error)
            {
                // Any other exception fails the test.
                Assert.StartsWith(path, error.Message);
                refused++;
            }
        }

        Assert.NotEqual(0, refused);
    }

    [Fact]
    public void Read_UnderAContextOfOneThread_DoesNotWaitForItself()
    {
        var count = 0;
        var thread = new Thread(() =>
        {
            // Whoever posts to it waits for ever, as on the thread of a window that is blocked.
            SynchronizationContext.SetSynchronizationContext(new ClosedContext());
            count = ParquetRows.Read(Golden("types.parquet")).Count();
        })
        { IsBackground = true };
        thread.Start();
        Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
        Assert.Equal(5, count);
    }

    [Fact]
    public void Find_FolderOfParquetFiles_TakesTheShardsOfTheSplitInOrder()
    {
        var names = new[] { "train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001" };
        var paths = names.Select((name, i) => WriteText($"{name}.parquet", [$"text {i}"], perGroup: 1)).ToArray();
        var dataset = DataRun.Dataset(_run.Folder);
        Assert.Equal(paths[..2], DatasetFiles.Find(dataset, isTest: false));
        Assert.Equal(
            ["text 0", "text 1"],
            DatasetFiles.Read(dataset, isTest: false).Select(row => row.RequireText("text", "")).ToArray());
        Assert.Equal([paths[2]], DatasetFiles.Find(dataset, isTest: true));
    }

    private static string Golden(string name) =>
        Path.GetFullPath(Path.Combine(DataFiles.Goldens, "..", "parquet", name));

    private static string Refusal(string path) =>
        Assert.Throws<DatasetException>(() => ParquetRows.Read(path).Count()).Message;

    private string WriteText(
        string name, string?[] texts, int perGroup, CompressionMethod method = CompressionMethod.Snappy)
    {
        var path = Path.Combine(_run.Folder, name);
        var field = new DataField<string>("text");
        using var stream = File.Create(path);
        Run(async () =>
        {
            await using var writer = await ParquetWriter.CreateAsync(
                new ParquetSchema(field), stream, new ParquetOptions { CompressionMethod = method });
            foreach (var chunk in texts.Chunk(perGroup))
            {
                using var group = writer.CreateRowGroup();
                await group.WriteAsync(field, chunk);
            }
        });
        return path;
    }

    private string Write(string name, DataField field, Func<ParquetRowGroupWriter, DataField, Task> write)
    {
        var path = Path.Combine(_run.Folder, name);
        using var stream = File.Create(path);
        Run(async () =>
        {
            await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(field), stream);
            using var group = writer.CreateRowGroup();
            await write(group, field);
        });
        return path;
    }

    private static void Run(Func<Task> write) => Task.Run(write).GetAwaiter().GetResult();

    private sealed class ClosedContext : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }
}
