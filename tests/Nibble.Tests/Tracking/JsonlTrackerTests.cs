using System.Text.Json;
using Nibble.Tracking;

namespace Nibble.Tests.Tracking;

public sealed class JsonlTrackerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FixedClock _clock = new();

    private string FilePath => _folder["out/metrics.jsonl"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Log_MetricNamesAreKeys()
    {
        using JsonlTracker tracker = Started();
        _clock.Advance(0.25);
        tracker.Log(
            10, 0.5, [new(MetricNames.TrainLoss, 1.5), new(MetricNames.Epoch, 0.5), new("memory/max_active", 2)]);
        Assert.Equal(
            """{"event":"log","time":"2026-03-04T12:00:00.250Z","train/global_step":10,"train/epoch":0.5"""
            + ""","train/loss":1.5,"memory/max_active":2}""",
            Lines()[^1]);
    }

    [Fact]
    public void Log_NotFinite_IsAStringThatParses()
    {
        using JsonlTracker tracker = Started();
        tracker.Log(1, 0, [
            new("a/nan", double.NaN), new("a/up", double.PositiveInfinity), new("a/down", double.NegativeInfinity)]);
        using JsonDocument line = JsonDocument.Parse(Lines()[^1]);
        Assert.Equal("NaN", line.RootElement.GetProperty("a/nan").GetString());
        Assert.Equal("Infinity", line.RootElement.GetProperty("a/up").GetString());
        Assert.Equal("-Infinity", line.RootElement.GetProperty("a/down").GetString());
    }

    [Fact]
    public void Start_WritesWhoRunsWithWhichConfig()
    {
        using JsonlTracker tracker = Started();
        using JsonDocument line = JsonDocument.Parse(Assert.Single(Lines()));
        JsonElement root = line.RootElement;
        Assert.Equal("start", root.GetProperty("event").GetString());
        Assert.Equal("Nibble-Tests", root.GetProperty("project").GetString());
        Assert.Equal("abcd1234", root.GetProperty("id").GetString());
        Assert.Equal(8, root.GetProperty("config").GetProperty("lora_r").GetInt32());
        Assert.False(root.TryGetProperty("resumed_from_step", out _));
    }

    [Fact]
    public void EveryEvent_IsOnDiskAtOnceAsOneLine()
    {
        using JsonlTracker tracker = Started();
        tracker.Note("checkpoint_saved", [new("path", "out/checkpoint-10\nnext"), new("event", "x")]);
        tracker.Summary([new("train_runtime", 3.5)]);
        tracker.Finish(1);
        string[] lines = Lines();
        Assert.Equal(["start", "checkpoint_saved", "summary", "finish"], lines.Select(line =>
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return document.RootElement.GetProperty("event").GetString();
        }));
        Assert.Contains(
            """{"path":"out/checkpoint-10\nnext","event":"x"}""", lines[1], StringComparison.Ordinal);
        Assert.Contains("\"exit_code\":1", lines[3], StringComparison.Ordinal);
    }

    [Fact]
    public void Start_ResumedRun_Appends()
    {
        using (JsonlTracker first = Started())
        {
            first.Log(1, 0.1, [new(MetricNames.TrainLoss, 2)]);
        }

        string[] before = Lines();
        using JsonlTracker second = Started(resumedFrom: 1);
        string[] after = Lines();
        Assert.Equal(before, after[..before.Length]);
        Assert.Contains("\"resumed_from_step\":1", Assert.Single(after[before.Length..]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"event\":\"log\",\"train/glo")]
    [InlineData("{\"event\":\"start\"}\n{")]
    public void Start_AfterAHalfWrittenLine_BeginsALineOfItsOwn(string broken)
    {
        Directory.CreateDirectory(_folder["out"]);
        File.WriteAllText(FilePath, broken);
        using JsonlTracker tracker = Started(resumedFrom: 5);
        tracker.Log(6, 1, [new(MetricNames.TrainLoss, 1)]);
        string[] lines = Lines();
        int kept = broken.Split('\n').Length;
        Assert.Equal(broken.Split('\n'), lines[..kept]);
        Assert.Equal(kept + 2, lines.Length);
        Assert.All(lines[kept..], line => JsonDocument.Parse(line).Dispose());
    }

    private string[] Lines()
    {
        using FileStream file = new(FilePath, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using StreamReader reader = new(file);
        string text = reader.ReadToEnd();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        return text[..^1].Split('\n');
    }

    private JsonlTracker Started(int? resumedFrom = null)
    {
        JsonlTracker tracker = new(_folder["out"], _clock);
        tracker.Start(Runs.Of(resumedFrom: resumedFrom));
        return tracker;
    }
}
