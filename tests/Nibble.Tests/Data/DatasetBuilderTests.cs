using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Data.Tokenizers;

namespace Nibble.Tests.Data;

public sealed class DatasetBuilderTests : IDisposable
{
    private readonly DataRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public void Build_ReferenceRunRows_TokenizesThemAsAxolotlDid()
    {
        var path = DataFiles.Shared("reference-run", "rows.jsonl");
        var tokenizer = HfTokenizer.Load(DataFiles.Shared("tokenizers", "qwen2.5"));
        var data = DataRun.Data(DataRun.Dataset(path)) with
        {
            SpecialTokens = new Dictionary<string, string> { ["eos_token"] = "<|im_end|>" },
        };
        var built = DatasetBuilder.Build(DataRun.Config(data), tokenizer);
        var asTokens = DatasetBuilder.Build(DataRun.Config(DataRun.Data(DataRun.Dataset(path, type: null))), tokenizer);
        Assert.Equal(4, built.Train.Length);
        for (var i = 0; i < 4; i++)
        {
            Assert.Equal([.. asTokens.Train[i].InputIds, 151645], built.Train[i].InputIds);
            Assert.Equal(built.Train[i].InputIds, built.Train[i].Labels);
        }

        Assert.Equal(["input_ids", "instruction", "labels", "output"], built.Report.UnusedFields);
        Assert.Contains(built.Report.Warnings,
            warning => warning.Contains("input_ids or labels") && warning.Contains("(4 rows"));
        Assert.Contains(built.Report.Warnings, warning => warning.Contains("already ends in <|im_end|>"));
        Assert.InRange(asTokens.Report.Train.TrainedShare, 0.1, 0.5);
        Assert.Empty(asTokens.Report.Warnings);
    }

    [Fact]
    public void Build_LongCompletion_IsCutWithEosOnTheLastPieceOnly()
    {
        var path = _run.Write(
            "a.jsonl", "{\"text\": \"find list copy files whose name ends with the current folder\"}\n");
        var whole = DataRun.Build(DataRun.Data(DataRun.Dataset(path))).Train[0];
        var pieces = DataRun.Build(DataRun.Data(DataRun.Dataset(path)), length: 4).Train;
        Assert.Equal(whole.InputIds, pieces.SelectMany(piece => piece.InputIds));
        Assert.Single(whole.InputIds, id => id == DataRun.Tokenizer.EosId);
        Assert.Equal(DataRun.Tokenizer.EosId, whole.InputIds[^1]);
        Assert.All(pieces[..^1], piece => Assert.Equal(4, piece.InputIds.Length));
    }

    [Fact]
    public void Build_TextThatEndsInEos_GetsNoSecondOne()
    {
        var path = _run.Write("a.jsonl", "{\"text\": \"ls<|im_end|>\"}\n{\"text\": \"\"}\n");
        var built = DataRun.Build(DataRun.Data(DataRun.Dataset(path)));
        Assert.Single(built.Train);
        Assert.Single(built.Train[0].InputIds, id => id == DataRun.Tokenizer.EosId);
        Assert.Equal((2, 1), (built.Report.Train.RowsRead, built.Report.Train.Empty));
    }

    [Fact]
    public void Build_Alpaca_TrainsTheOutputAndEos()
    {
        var path = _run.Write("a.jsonl",
            "{\"instruction\":\"list\",\"input\":\"here\",\"output\":\"ls -a\"}\n"
            + "{\"instruction\":\"list\",\"output\":\"ls\"}\n");
        var data = DataRun.Data(DataRun.Dataset(path, "alpaca"));
        var built = DataRun.Build(data);
        var tokenizer = DataRun.Tokenizer;
        Assert.Equal(
            "Below is an instruction that describes a task, paired with an input that provides further context. "
            + "Write a response that appropriately completes the request."
            + "\n\n### Instruction:\nlist\n\n### Input:\nhere\n\n### Response:\nls -a<|im_end|>",
            tokenizer.Decode(built.Train[0].InputIds, skipSpecial: false));
        Assert.Equal("ls -a<|im_end|>", Trained(built.Train[0]));
        Assert.Equal("ls<|im_end|>", Trained(built.Train[1]));
        Assert.Equal(
            "Below is an instruction that describes a task. "
            + "Write a response that appropriately completes the request."
            + "\n\n### Instruction:\nlist\n\n### Response:\nls<|im_end|>",
            tokenizer.Decode(built.Train[1].InputIds, skipSpecial: false));
        Assert.All(DataRun.Build(data with { TrainOnInputs = true }).Train, s => Assert.Equal(s.InputIds, s.Labels));
    }

    [Fact]
    public void Build_Segments_TrainByLabelAndAddNothing()
    {
        var path = _run.Write("a.jsonl",
            "{\"segments\":[{\"label\":false,\"text\":\"Q: hi \"},"
            + "{\"label\":true,\"text\":\"A: yo<|im_end|>\"},{\"label\":false,\"text\":\"!\"}]}");
        var sample = DataRun.Build(DataRun.Data(DataRun.Dataset(path, "input_output"))).Train[0];
        Assert.Equal("A: yo<|im_end|>", Trained(sample));
        Assert.Equal("Q: hi A: yo<|im_end|>!", DataRun.Tokenizer.Decode(sample.InputIds, skipSpecial: false));
    }

    [Fact]
    public void Build_TokenRows_LeaveMaskedPaddingOut()
    {
        var path = _run.Write("a.jsonl",
            "{\"input_ids\":[5,6,7,0],\"labels\":[-100,6,7,-100],\"attention_mask\":[1,1,1,0]}\n");
        var sample = DataRun.Build(DataRun.Data(DataRun.Dataset(path, null))).Train[0];
        Assert.Equal([5, 6, 7], sample.InputIds);
        Assert.Equal([-100, 6, 7], sample.Labels);
    }

    [Theory]
    [InlineData("{\"input_ids\":[1,2],\"labels\":[1]}", "labels has 1 entries, input_ids has 2")]
    [InlineData("{\"input_ids\":[1,99999],\"labels\":[1,2]}", "input_ids[1] is 99999")]
    [InlineData("{\"input_ids\":[1,2],\"labels\":[-100,-1]}", "labels[1] is -1")]
    [InlineData("{\"input_ids\":[1,\"x\"],\"labels\":[1,2]}", "'input_ids[1]' should be a whole number")]
    [InlineData("{\"input_ids\":7,\"labels\":[1,2]}", "'input_ids' should be an array")]
    [InlineData("{\"input_ids\":[1,2],\"labels\":[-100,-100]}", "no token of this row trains")]
    [InlineData("{\"ids\":[1,2]}", "no field 'input_ids'")]
    public void Build_BadTokenRows_NameTheRowAndTheReason(string row, string expected)
    {
        var message = DataRun.Refusal(DataRun.Data(DataRun.Dataset(_run.Write("a.jsonl", "\n" + row), null)));
        Assert.Contains(expected, message);
        Assert.Contains("a.jsonl:2", message);
    }

    [Fact]
    public void Build_SplitAndShuffle_FollowNumpyAndTakeTheTail()
    {
        var path = _run.Write(
            "a.jsonl", string.Concat(Enumerable.Range(0, 10).Select(i => $"{{\"text\":\"row {i}\"}}\n")));
        var data = DataRun.Data(DataRun.Dataset(path)) with { Shuffle = true, ValidationSize = 0.25 };
        var built = DataRun.Build(data);
        var order = Permutations.Numpy(10, 42);
        Assert.Equal(order[..7].Select(i => $"{path}:{i + 1}"), built.Train.Select(sample => sample.Origin));
        Assert.Equal(order[7..].Select(i => $"{path}:{i + 1}"), built.Eval.Select(sample => sample.Origin));
        Assert.Equal((10, 7), (built.Report.Train.SamplesMade, built.Report.Train.SamplesKept));
        Assert.Equal(3, built.Report.Eval!.SamplesKept);
        Assert.Equal(4, DataRun.Build(data with { ValidationSize = 4 }).Eval.Length);
        Assert.Contains("val_set_size", DataRun.Refusal(data with { ValidationSize = 10 }));
    }

    [Fact]
    public void Build_TestDatasets_AreReadApart()
    {
        var train = _run.Write("a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
        var test = _run.Write("b.jsonl", "{\"text\":\"three\"}\n");
        var built = DataRun.Build(DataRun.Data(DataRun.Dataset(train)) with { Test = [DataRun.Dataset(test)] });
        Assert.Equal((2, 1), (built.Train.Length, built.Eval.Length));
        Assert.Equal(test + ":1", built.Eval[0].Origin);
    }

    [Fact]
    public void Build_Duplicates_AreDroppedOnRequest()
    {
        var path = _run.Write("a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"one\"}\n");
        var data = DataRun.Data(DataRun.Dataset(path));
        Assert.Equal(3, DataRun.Build(data).Train.Length);
        var built = DataRun.Build(data with { ExactDeduplication = true });
        Assert.Equal([path + ":1", path + ":2"], built.Train.Select(sample => sample.Origin));
        Assert.Equal(1, built.Report.Train.Duplicates);
    }

    [Fact]
    public void Build_LongRows_FollowTheStrategy()
    {
        var path = _run.Write(
            "a.jsonl",
            "{\"instruction\":\"a\",\"output\":\"b\"}\n{\"instruction\":\"a\",\"output\":\""
            + string.Concat(Enumerable.Repeat("find files ", 400)) + "\"}\n");
        var data = DataRun.Data(DataRun.Dataset(path, "alpaca"));
        Assert.Contains("1 longer than sequence_len 512", DataRun.Refusal(data));
        Assert.Contains("a.jsonl:2", DataRun.Refusal(data, excess: ExcessLength.Raise));
        Assert.Single(DataRun.Build(data, lost: 1).Train);
        var cut = DataRun.Build(data, excess: ExcessLength.Truncate);
        Assert.Equal((2, 512, 1), (cut.Train.Length, cut.Train[1].InputIds.Length, cut.Report.Train.Truncated));
    }

    [Theory]
    [InlineData("", "the file has no rows")]
    [InlineData("{\"txt\":\"x\"}", "no field 'text'; it has txt. Did you mean 'txt'?")]
    [InlineData("{\"text\":5}", "'text' should be a string, found a number: 5")]
    [InlineData("{\"text\":null}", "field 'text' is null")]
    [InlineData("[{\"text\":\"a\"}, {\"text\":\"b\"", "cut off")]
    [InlineData("[{\"text\":\"a\"},, {\"text\":\"b\"}]", "',' where a row should be")]
    [InlineData("[1]", "should be a JSON object, found a number: 1")]
    [InlineData("\"x\"", "should be a JSON object, found a string")]
    [InlineData("{\"text\":\"\\ud800\"}", "half a surrogate pair")]
    [InlineData("{\"text\":\"\"}", "No training rows are left: 1 read, 1 empty")]
    public void Build_BadRows_SayWhatIsWrong(string content, string expected) =>
        Assert.Contains(expected, DataRun.Refusal(DataRun.Data(DataRun.Dataset(_run.Write("a.jsonl", content)))));

    [Fact]
    public void Build_InvalidJsonOnLineSeven_NamesTheLineAndTheReason()
    {
        var path = _run.Write(
            "a.jsonl", string.Concat(Enumerable.Repeat("{\"text\":\"a\"}\n", 6)) + "{\"text\": oops}\n");
        var message = DataRun.Refusal(DataRun.Data(DataRun.Dataset(path)));
        Assert.StartsWith(path + ":7: invalid JSON at byte 10 of the line: 'o' is an invalid start of a value",
            message);
    }

    [Fact]
    public void Build_InvalidUtf8_NamesLineAndOffset()
    {
        byte[] bytes = [.. "{\"text\":\"ok\"}\n{\"text\":\""u8, 0xE9, .. "\"}\n"u8];
        var message = DataRun.Refusal(DataRun.Data(DataRun.Dataset(_run.Write("a.jsonl", bytes))));
        Assert.Contains("a.jsonl:2: byte 0xE9 at offset 23 of the file is not UTF-8", message);
    }

    [Fact]
    public void Build_UnknownType_ListsTheKnownAndTheNearest()
    {
        var message = DataRun.Refusal(DataRun.Data(DataRun.Dataset(_run.Write("a.jsonl", "{}"), "completions")));
        Assert.Contains("completion, alpaca", message);
        Assert.Contains("Did you mean 'completion'?", message);
    }

    private static string Trained(Sample sample) => DataRun.Tokenizer.Decode(
        [.. sample.Labels.Where(label => label != Sample.Masked)], skipSpecial: false);
}
