using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Sources;
using Nibble.Hub;

namespace Nibble.Tests.Hub;

/// <summary>Which files of a repository are an entry's rows, in the common layouts.</summary>
public sealed class HubRowsTests
{
    private static readonly string[] Sharded =
    [
        "README.md", "data/test-00000-of-00001.parquet", "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    ];

    private static readonly string[] NamedSplits =
    [
        "data/test_sft-00000-of-00001-0123456789abcdef.parquet", "data/train_gen-00000-of-00001.parquet",
        "data/train_sft-00000-of-00001.parquet",
    ];

    private static readonly string[] Sets =
    [
        "main/test-00000-of-00001.parquet", "main/train-00000-of-00001.parquet",
        "socratic/train-00000-of-00001.parquet",
    ];

    public static TheoryData<string[], string, string[]> Chosen => new()
    {
        { ["train.jsonl", "LICENSE.txt", "loader.py"], "", ["train.jsonl"] },
        { ["a.jsonl", "b.jsonl"], "", ["a.jsonl", "b.jsonl"] },
        { ["alpaca.json", "dataset_infos.json", "alpaca.parquet", "x.json"], "", ["alpaca.json", "x.json"] },
        { ["alpaca.json", "alpaca.parquet"], "ds_type: parquet", ["alpaca.parquet"] },
        { Sharded, "", ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"] },
        { Sharded, "split: test", ["data/test-00000-of-00001.parquet"] },
        { NamedSplits, "split: train_sft", ["data/train_sft-00000-of-00001.parquet"] },
        { NamedSplits, "split: test_sft", ["data/test_sft-00000-of-00001-0123456789abcdef.parquet"] },
        { Sets, "name: main", ["main/train-00000-of-00001.parquet"] },
        { Sets, "name: socratic", ["socratic/train-00000-of-00001.parquet"] },
        { ["default/train/0000.parquet", "default/test/0000.parquet"], "", ["default/train/0000.parquet"] },
        { ["train/a.jsonl", "validation/a.jsonl"], "split: valid", ["validation/a.jsonl"] },
        { ["x/a.json", "x/b.json", "y/a.json"], "data_files: x/*.json", ["x/a.json", "x/b.json"] },
        { ["x/a.json", "a.json"], "data_files: '**/a.json'", ["x/a.json", "a.json"] },
        { [".hidden/a.json", "_tmp/a.json", "a.json"], "", ["a.json"] },
    };

    public static TheoryData<string[], string, string> Refused => new()
    {
        { ["loader.py", "README.md"], "", "No loading script" },
        { Sets, "", "main, socratic" },
        { Sets, "name: other", "main, socratic" },
        { NamedSplits, "", "test_sft, train_gen, train_sft" },
        { Sharded, "split: dev", "validation" },
        { ["a.json"], "data_files: b.json", "Did you mean 'a.json'" },
        { ["data/train-00000-of-00003.parquet", "data/train-00002-of-00003.parquet"], "", "3 files" },
    };

    [Theory]
    [MemberData(nameof(Chosen))]
    public void Select_CommonLayouts_TakesTheRows(string[] files, string keys, string[] rows) =>
        Assert.Equal(rows, HubRows.Select(Entry(keys), isTest: false, Listing(files)).Select(file => file.Path));

    [Theory]
    [MemberData(nameof(Refused))]
    public void Select_NoneOrSeveralSets_SaysWhichThereAre(string[] files, string keys, string message)
    {
        var error = Assert.Throws<DatasetException>(
            () => HubRows.Select(Entry(keys), isTest: false, Listing(files)));

        Assert.Contains(message, error.Message);
        Assert.Contains("line", error.Message);
    }

    [Fact]
    public void Select_ForTesting_TakesTestElseValidation()
    {
        Assert.Equal(
            ["data/test-00000-of-00001.parquet"],
            HubRows.Select(Entry(""), isTest: true, Listing(Sharded)).Select(file => file.Path));
        Assert.Equal(
            ["dev.csv"],
            HubRows.Select(Entry(""), isTest: true, Listing(["dev.csv", "train.csv"])).Select(file => file.Path));
    }

    private static HubListing Listing(string[] files) => new(
        HubRepository.Of(HubKind.Dataset, "org/rows"), "0", "folder",
        [.. files.Select(path => new HubFile(path, 1, ""))], IsLocal: false);

    private static DatasetOptions Entry(string keys) => ConfigLoader.Parse(
        $"""
        base_model: org/m
        adapter: lora
        lora_r: 8
        lora_alpha: 16
        learning_rate: 0.001
        datasets:
          - path: org/rows
            type: alpaca
            {keys}
        """,
        "run.yml").Config.Data.Train[0];
}
