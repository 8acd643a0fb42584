using System.Text.Json.Nodes;
using Nibble.Config;
using Nibble.Tests.Config;
using Nibble.Tracking;
using Nibble.Tracking.Wandb;

namespace Nibble.Tests.Tracking;

public sealed class TrackersTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _warnings = [];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("", null, "jsonl")]
    [InlineData("use_tensorboard: true\n", null, "jsonl tensorboard")]
    [InlineData("wandb_project: p\n", null, "jsonl wandb")]
    [InlineData("wandb_project: p\nwandb_mode: disabled\n", null, "jsonl")]
    [InlineData("wandb_project: p\nuse_tensorboard: true\n", "disabled", "jsonl tensorboard")]
    public void Create_MakesWhatTheConfigAsksFor(string yaml, string? variable, string expected)
    {
        RunConfig config = Configs.Of(Configs.Minimal + yaml);
        WandbSettings wandb = WandbSettings.Resolve(
            config.Logging.Wandb, name => name == "WANDB_MODE" ? variable : null);
        using TrackerGroup group = Trackers.Create(
            new TrackerContext(config, new FixedClock(), _warnings.Add, wandb));
        Assert.Equal(expected, string.Join(' ', group.Active.Select(tracker => tracker.Name)));
    }

    [Fact]
    public void All_NamesAreThoseOfTheTrackers() =>
        Assert.Equal(["jsonl", "wandb", "tensorboard"], Trackers.All.Select(entry => entry.Name));

    [Fact]
    public void Describe_TakesNamesAndSettingsFromTheConfig()
    {
        RunConfig config = Configs.Of(Configs.Lora
            + "output_dir: models/first-run/\nwandb_project: p\nwandb_run_id: fixed\n");
        RunDescription run = RunDescription.From(
            config,
            WandbSettings.Resolve(config.Logging.Wandb, Runs.Environment()),
            new FixedClock(),
            resumedFromStep: 7);
        Assert.Equal(("p", "first-run", "fixed", 7), (run.Project, run.Name, run.Id, run.ResumedFromStep));
        Assert.Equal(FixedClock.Noon, run.StartTime);
        Assert.Equal(8, run.Config["lora_r"]!.GetValue<long>());
        Assert.Equal(2e-4, run.Config["learning_rate"]!.GetValue<double>());
        Assert.Equal("train.jsonl", run.Config["datasets"]![0]!["path"]!.GetValue<string>());
        Assert.False(run.Config["sample_packing"]!.GetValue<bool>());
    }

    [Fact]
    public void Group_OneTrackerFails_WarnsOnceAndGoesOnWithTheOthers()
    {
        RecordingTracker good = new("good");
        RecordingTracker bad = new("bad") { FailsAt = "Log" };
        using TrackerGroup group = new([bad, good], _warnings.Add);
        group.Start(Runs.Of());
        group.Log(1, 0, []);
        group.Log(2, 0, []);
        group.Summary([]);
        group.Note("checkpoint_saved", []);
        group.Finish(0);
        Assert.Equal(["Start", "Log", "Log", "Summary", "Note", "Finish"], good.Calls);
        Assert.Equal(["Start", "Log", "Dispose"], bad.Calls);
        string warning = Assert.Single(_warnings);
        Assert.Contains("'bad'", warning, StringComparison.Ordinal);
        Assert.Contains("no space", warning, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Start")]
    [InlineData("Summary")]
    [InlineData("Note")]
    [InlineData("Finish")]
    [InlineData("Dispose")]
    public void Group_FailureAnywhere_NeverThrows(string at)
    {
        RecordingTracker bad = new("bad") { FailsAt = at };
        TrackerGroup group = new([bad], _warnings.Add);
        group.Start(Runs.Of());
        group.Summary([]);
        group.Note("kind", []);
        group.Finish(0);
        group.Dispose();
        Assert.Single(_warnings);
        Assert.Empty(group.Active);
    }

    [Fact]
    public void Group_FileInPlaceOfTheOutputFolder_IsAWarning()
    {
        File.WriteAllText(_folder["out"], "a file");
        using TrackerGroup group = new([new JsonlTracker(_folder["out"], new FixedClock())], _warnings.Add);
        group.Start(Runs.Of());
        group.Log(1, 0, [new(MetricNames.TrainLoss, 1)]);
        Assert.Contains("'jsonl'", Assert.Single(_warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void Group_SecretsInTheConfig_ReachNoTracker()
    {
        RecordingTracker tracker = new("any");
        using TrackerGroup group = new([tracker], _warnings.Add);
        RunDescription run = Runs.Of() with
        {
            Config = new JsonObject
            {
                ["wandb_api_key"] = "0123456789",
                ["eos_token"] = "<|im_end|>",
                ["hub"] = new JsonObject { ["hf_token"] = "hf_x", ["url"] = "https://me:word@example.com/x" },
            },
        };
        group.Start(run);
        Assert.Equal(
            """{"eos_token":"<|im_end|>","hub":{"url":"https://***@example.com/x"}}""",
            JsonText.Of(tracker.Started!.Config));
    }

    [Theory]
    [InlineData("eval_loss", "eval/loss")]
    [InlineData("test_loss", "test/loss")]
    [InlineData("loss", "train/loss")]
    [InlineData("train/loss", "train/loss")]
    public void FromTrainer_RewritesAsTheTrainerDoes(string flat, string expected) =>
        Assert.Equal(expected, MetricNames.FromTrainer(flat));

    private sealed class RecordingTracker(string name) : ITracker
    {
        public string? FailsAt { get; init; }

        public List<string> Calls { get; } = [];

        public RunDescription? Started { get; private set; }

        public string Name => name;

        public void Start(RunDescription run)
        {
            Started = run;
            Record("Start");
        }

        public void Log(int globalStep, double epoch, IReadOnlyList<Metric> metrics) => Record("Log");

        public void Summary(IReadOnlyList<Metric> metrics) => Record("Summary");

        public void Note(string kind, IReadOnlyList<KeyValuePair<string, string>> fields) => Record("Note");

        public void Finish(int exitCode) => Record("Finish");

        public void Dispose() => Record("Dispose");

        private void Record(string call)
        {
            Calls.Add(call);
            if (call == FailsAt)
            {
                throw new IOException("no space left");
            }
        }
    }
}
