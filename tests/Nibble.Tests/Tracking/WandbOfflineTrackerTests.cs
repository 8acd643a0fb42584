using System.Text.Json;
using Nibble.Tracking;
using Nibble.Tracking.Wandb;
using YamlDotNet.RepresentationModel;

namespace Nibble.Tests.Tracking;

public sealed class WandbOfflineTrackerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FixedClock _clock = new();
    private readonly List<string> _warnings = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Start_MakesTheFolderNamedByLocalTimeAndId()
    {
        using WandbOfflineTracker tracker = Started();
        Assert.Equal(
            Path.Combine(_folder.Path, "wandb", "offline-run-20260304_140000-abcd1234"), tracker.RunDirectory);
        Assert.True(File.Exists(LogPath(tracker)));
        Assert.True(Directory.Exists(Path.Combine(tracker.RunDirectory, "logs")));
    }

    [Fact]
    public void Start_HiddenFolderExists_IsUsedInstead()
    {
        Directory.CreateDirectory(_folder[".wandb"]);
        using WandbOfflineTracker tracker = Started();
        Assert.StartsWith(_folder[".wandb"], tracker.RunDirectory, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_SecondRun_MovesLatestRun()
    {
        Started().Dispose();
        _clock.Advance(60);
        using WandbOfflineTracker second = Started("second99");
        if (_warnings.Count > 0)
        {
            Assert.Skip("symbolic links cannot be made here: " + _warnings[0]);
        }

        Assert.Equal("offline-run-20260304_140100-second99", new FileInfo(_folder["wandb/latest-run"]).LinkTarget);
    }

    [Fact]
    public void Start_SomethingElseNamedLatestRun_WarnsAndRecords()
    {
        Directory.CreateDirectory(_folder["wandb"]);
        File.WriteAllText(_folder["wandb/latest-run"], "in the way");
        using WandbOfflineTracker tracker = Started();
        Assert.Contains("latest-run", Assert.Single(_warnings), StringComparison.Ordinal);
        Assert.Equal("in the way", File.ReadAllText(_folder["wandb/latest-run"]));
        Assert.NotEmpty(Records(tracker));
    }

    [Fact]
    public void Run_Complete_HasRecordsInOrderNumberedFromOne()
    {
        using WandbOfflineTracker tracker = Completed();
        IReadOnlyList<ProtoFields> records = Records(tracker);
        Assert.Equal(
            Enumerable.Range(1, records.Count).Select(number => (long)number),
            records.Select(record => record.Integer(1)));

        // Header, run, two metric definitions, environment, files; per row new definitions, history, summary;
        // then the run's summary, the last summary, files, exit, final, footer.
        int[] expected =
        [
            21, 17, 12, 12, 26, 6,
            12, 12, 12, 2, 3,
            12, 2, 3,
            3, 3, 6, 18, 20, 22,
        ];
        Assert.Equal(expected, records.Select(record => record.Numbers.Last()));
    }

    [Fact]
    public void Run_RunRecord_CarriesSettingsAndConfig()
    {
        using WandbOfflineTracker tracker = Completed();
        ProtoFields run = Records(tracker)[1].Message(17);
        Assert.Equal("abcd1234", run.Text(1));
        Assert.Equal("team", run.Text(2));
        Assert.Equal("Nibble-Tests", run.Text(3));
        Assert.Equal("group", run.Text(6));
        Assert.Equal("train", run.Text(7));
        Assert.Equal("first", run.Text(8));
        Assert.Equal("some notes", run.Text(9));
        Assert.Equal(["a", "b"], run.Texts(10));
        Assert.Equal(FixedClock.Noon.ToUnixTimeSeconds(), run.Message(17).Integer(1));
        Assert.False(run.Has(18));
        Assert.Equal(
            [
                ("learning_rate", "0.0002"),
                ("lora_r", "8"),
                ("base_model", "\"models/qwen \\\"tiny\\\"\""),
                ("lora_target_modules", "[\"q_proj\",\"v_proj\"]"),
                ("chat_template", "null"),
                ("adam_epsilon", "1E-08"),
            ],
            run.Message(4).Messages(1).Select(item => (item.Text(1), item.Text(16))));
    }

    [Fact]
    public void Run_MetricRecords_PlotEveryNameOverGlobalStep()
    {
        using WandbOfflineTracker tracker = Completed();
        List<ProtoFields> metrics = [.. Records(tracker).Where(r => r.Has(12)).Select(r => r.Message(12))];
        Assert.Equal("train/global_step", metrics[0].Text(1));
        Assert.Equal(1, metrics[0].Message(6).Integer(3));
        Assert.Equal("*", metrics[1].Text(2));
        Assert.Equal("train/global_step", metrics[1].Text(4));
        Assert.Equal((1, 1), (metrics[1].Message(6).Integer(1), metrics[1].Message(6).Integer(3)));
        Assert.Equal(
            ["train/loss", "train/learning_rate", "train/epoch", "eval/loss"], metrics[2..].Select(m => m.Text(1)));
        Assert.All(metrics[2..], metric =>
        {
            Assert.Equal("train/global_step", metric.Text(4));
            Assert.Equal(1, metric.Integer(10));
        });
    }

    [Fact]
    public void Log_EachCall_IsOneRowWithItsOwnStep()
    {
        using WandbOfflineTracker tracker = Completed();
        List<ProtoFields> rows = [.. Records(tracker).Where(r => r.Has(2)).Select(r => r.Message(2))];
        Assert.Equal(2, rows.Count);
        Assert.Equal(
            [
                ("train/loss", "1.5"), ("train/learning_rate", "0.0002"), ("train/epoch", "0.5"),
                ("train/global_step", "10"), ("_step", "0"), ("_timestamp", "1772625602.5"), ("_runtime", "2.5"),
            ],
            Items(rows[0]));
        Assert.Equal(
            [
                ("eval/loss", "NaN"), ("train/epoch", "0.5"), ("train/global_step", "10"), ("_step", "1"),
                ("_timestamp", "1772625604"), ("_runtime", "4"),
            ],
            Items(rows[1]));
        Assert.Equal([0L, 1L], rows.Select(row => row.Message(2).Integer(1)));
    }

    [Fact]
    public void Finish_WritesExitAndSummary()
    {
        using WandbOfflineTracker tracker = Completed(exitCode: 130);
        ProtoFields exit = Records(tracker)[^3].Message(18);
        Assert.Equal((130, 4), (exit.Integer(1), exit.Integer(2)));
        using JsonDocument summary = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(tracker.RunDirectory, "files", "wandb-summary.json")));
        JsonElement root = summary.RootElement;
        Assert.Equal(1.5, root.GetProperty("train/loss").GetDouble());
        Assert.Equal("NaN", root.GetProperty("eval/loss").GetString());
        Assert.Equal(3.25, root.GetProperty("train_runtime").GetDouble());
        Assert.Equal(1, root.GetProperty("_step").GetInt32());
        Assert.Equal(4, root.GetProperty("_wandb").GetProperty("runtime").GetInt32());
    }

    [Fact]
    public void Log_WithoutFinish_LeavesAFileWithoutExitThatReadsBack()
    {
        WandbOfflineTracker tracker = Started();
        tracker.Log(1, 0.1, [new(MetricNames.TrainLoss, 2)]);
        IReadOnlyList<ProtoFields> records = Records(tracker);
        tracker.Dispose();
        Assert.Contains(records, record => record.Has(2));
        Assert.DoesNotContain(records, record => record.Has(18));
    }

    [Fact]
    public void Files_ConfigYaml_ReadsBackAsYaml()
    {
        using WandbOfflineTracker tracker = Started();
        YamlStream yaml = [];
        using StreamReader text = new(Path.Combine(tracker.RunDirectory, "files", "config.yaml"));
        yaml.Load(text);
        YamlMappingNode root = (YamlMappingNode)yaml.Documents[0].RootNode;
        Assert.Equal(
            ["_wandb", "learning_rate", "lora_r", "base_model", "lora_target_modules", "chat_template", "adam_epsilon"],
            root.Children.Keys.Select(key => ((YamlScalarNode)key).Value));
        Assert.Equal("models/qwen \"tiny\"", ((YamlScalarNode)root["base_model"]["value"]).Value);
        Assert.Equal("v_proj", ((YamlScalarNode)root["lora_target_modules"]["value"][1]).Value);
        Assert.Equal("8", ((YamlScalarNode)root["lora_r"]["value"]).Value);
        Assert.Equal("1.0E-08", ((YamlScalarNode)root["adam_epsilon"]["value"]).Value);
    }

    [Fact]
    public void Files_Metadata_HasNoArguments()
    {
        using WandbOfflineTracker tracker = Started();
        using JsonDocument metadata = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(tracker.RunDirectory, "files", "wandb-metadata.json")));
        Assert.Equal("2026-03-04T12:00:00.000000Z", metadata.RootElement.GetProperty("startedAt").GetString());
        Assert.Equal(Environment.ProcessorCount, metadata.RootElement.GetProperty("cpu_count").GetInt32());
        Assert.False(metadata.RootElement.TryGetProperty("args", out _));
    }

    [Fact]
    public void Start_OnlineWasAskedFor_SaysHowToUpload()
    {
        using WandbOfflineTracker tracker = new(
            Runs.Wandb(_folder.Path, WandbMode.Online, "something has no effect"), _clock, _warnings.Add);
        tracker.Start(Runs.Of());
        Assert.Contains("W&B: something has no effect", _warnings);
        Assert.Contains(_warnings, text => text.Contains("mode online is not supported", StringComparison.Ordinal)
            && text.Contains($"wandb sync \"{tracker.RunDirectory}\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Start_ResumedRun_IsMarked()
    {
        using WandbOfflineTracker tracker = new(Runs.Wandb(_folder.Path), _clock, _warnings.Add);
        tracker.Start(Runs.Of(resumedFrom: 100));
        Assert.Equal(1, Records(tracker)[1].Message(17).Integer(18));
    }

    [Fact]
    public void Start_BadId_IsRefusedBeforeAnythingIsWritten()
    {
        using WandbOfflineTracker tracker = new(Runs.Wandb(_folder.Path), _clock, _warnings.Add);
        Assert.Throws<TrackingException>(() => tracker.Start(Runs.Of("../../up")));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private static string LogPath(WandbOfflineTracker tracker) =>
        Assert.Single(Directory.GetFiles(tracker.RunDirectory, "run-*.wandb"));

    private static IReadOnlyList<ProtoFields> Records(WandbOfflineTracker tracker)
    {
        using FileStream file = new(LogPath(tracker), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        return [.. WandbLogReader.Records(bytes).Select(record => new ProtoFields(record))];
    }

    private static IEnumerable<(string Key, string Json)> Items(ProtoFields row) => row.Messages(1).Select(item =>
    {
        Assert.False(item.Has(1));
        return (Assert.Single(item.Texts(2)), item.Text(16));
    });

    private WandbOfflineTracker Started(string id = "abcd1234")
    {
        WandbOfflineTracker tracker = new(Runs.Wandb(_folder.Path), _clock, _warnings.Add);
        tracker.Start(Runs.Of(id));
        return tracker;
    }

    private WandbOfflineTracker Completed(int exitCode = 0)
    {
        WandbOfflineTracker tracker = Started();
        _clock.Advance(2.5);
        tracker.Log(10, 0.5, [new(MetricNames.TrainLoss, 1.5), new(MetricNames.LearningRate, 2e-4)]);
        _clock.Advance(1.5);
        tracker.Log(10, 0.5, [new(MetricNames.EvalLoss, double.NaN), new(MetricNames.GlobalStep, 10)]);
        tracker.Note("checkpoint_saved", [new("path", "out/checkpoint-10")]);
        tracker.Summary([new("train_runtime", 3.25)]);
        tracker.Finish(exitCode);
        return tracker;
    }
}
