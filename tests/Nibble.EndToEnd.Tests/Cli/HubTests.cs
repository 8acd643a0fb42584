using System.Text.Json;
using Nibble.Tests.Hub;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>Runs whose model and rows are names on a Hub.</summary>
public sealed class HubTests : IDisposable
{
    private const string Secret = "hf_0123456789secret";
    private const string Model = "Tiny-Org/Base-1.5";
    private const string Rows = "Tiny-Org/rows";

    private static readonly string Example = Path.GetDirectoryName(Examples.Nl2Bash)!;

    private readonly TemporaryFolder _folder = new();
    private readonly FakeHub _hub = new();
    private readonly FakeHub.Repository _model;
    private readonly FakeHub.Repository _rows;

    public HubTests()
    {
        _model = _hub.AddModel(Model);
        foreach (var path in Directory.GetFiles(Path.Combine(Example, "model")))
        {
            _model.Add(Path.GetFileName(path), File.ReadAllBytes(path), path.EndsWith(".safetensors"));
        }

        _model.Add("pytorch_model.bin", [1, 2, 3], large: true);
        _rows = _hub.AddDataset(Rows).Add("README.md", "#").Add("data/train.jsonl", Lines("train.jsonl", 8))
            .Add("data/test.jsonl", Lines("val.jsonl", 4)).Add("rows.py", "raise SystemExit");
    }

    private string Output => Path.Combine(_folder.Path, "out");

    private Dictionary<string, string> Online => new()
    {
        ["HF_ENDPOINT"] = _hub.Endpoint.ToString(),
        ["HF_HOME"] = Path.Combine(_folder.Path, "home"),
        ["HF_HUB_CACHE"] = "",
        ["HF_HUB_OFFLINE"] = "",
        ["TRANSFORMERS_OFFLINE"] = "",
        ["HF_TOKEN"] = Secret,
    };

    private Dictionary<string, string> Offline => new(Online) { ["HF_HUB_OFFLINE"] = "1" };

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Train_ByName_DownloadsRecordsCommitsAndValidatesOffline()
    {
        var config = Config();

        var trained = Run(Online, "train", config);

        Assert.True(trained.ExitCode == 0, trained.Error);
        Assert.Contains($"downloaded {Model}", trained.Error);
        Assert.DoesNotContain(_hub.Requests, request => request.Path.Contains("pytorch_model"));
        Assert.DoesNotContain(_hub.Requests, request => request.Path.EndsWith("rows.py"));
        Assert.All(_hub.Requests.Where(r => r.Host == "store"), request => Assert.Null(request.Token));
        using (var adapter = JsonDocument.Parse(File.ReadAllText(Path.Combine(Output, "adapter_config.json"))))
        {
            Assert.Equal(Model, adapter.RootElement.GetProperty("base_model_name_or_path").GetString());
            Assert.Equal(JsonValueKind.Null, adapter.RootElement.GetProperty("revision").ValueKind);
        }

        using (var state = JsonDocument.Parse(File.ReadAllText(Path.Combine(Output, "run_state.json"))))
        {
            var facts = state.RootElement.GetProperty("provenance");
            Assert.Equal(_model.Commit, facts.GetProperty($"commit of {Model}").GetString());
            Assert.Equal(_rows.Commit, facts.GetProperty($"commit of {Rows}").GetString());
        }

        var resolved = File.ReadAllText(Path.Combine(Output, "config.yml"));
        Assert.Contains($"base_model: {Model} ", resolved);
        Assert.Matches($@"revision_of_model: ""?{_model.Commit}""? ", resolved);
        Assert.Matches($@"    revision: ""?{_rows.Commit}""? ", resolved);
        Assert.Contains($"base_model: \"{Model}\"", File.ReadAllText(Path.Combine(Output, "README.md")));
        foreach (var file in Directory.GetFiles(Output, "*", SearchOption.AllDirectories))
        {
            var text = File.ReadAllText(file);
            Assert.DoesNotContain(Secret, text);
            Assert.True(
                !text.Contains("snapshots") || Path.GetFileName(file).StartsWith("validation."), $"{file}: {text}");
        }

        Assert.DoesNotContain(Secret, trained.Output + trained.Error);

        // What main is now does not matter to a run that has ended.
        var trainedOn = _model.Commit;
        _model.Commit = FakeHub.CommitOf("later");
        _hub.Requests.Clear();
        var validated = Run(Offline, "validate", Output);
        Assert.True(validated.ExitCode == 0, validated.Output + validated.Error);
        var resumed = Run(Offline, "train", config, "--resume", "--max_steps", "3");
        Assert.True(resumed.ExitCode == 0, resumed.Error);
        Assert.Contains("resuming from", resumed.Output);
        Assert.Empty(_hub.Requests);

        // Where main is asked for again, it is another commit than the adapter's.
        var evaluated = Run(Online, "evaluate", config);
        Assert.True(evaluated.ExitCode == 0, evaluated.Error);
        Assert.Matches($"was trained on commit {trainedOn} of {Model}, and {_model.Commit} is loaded", evaluated.Error);
    }

    [Fact]
    public void Train_AtARevision_NamesItInTheAdapter()
    {
        var trained = Run(Online, "train", Config(), "--revision_of_model", "v1/x", "--max_steps", "1");

        Assert.True(trained.ExitCode == 0, trained.Error);
        using var adapter = JsonDocument.Parse(File.ReadAllText(Path.Combine(Output, "adapter_config.json")));
        Assert.Equal("v1/x", adapter.RootElement.GetProperty("revision").GetString());
        Assert.Contains(_model.Commit, File.ReadAllText(Path.Combine(Output, "config.yml")));
    }

    [Fact]
    public void Check_DownloadsNoWeights()
    {
        var result = Run(Online, "check", Config());

        Assert.True(result.ExitCode == 0, result.Error);
        Assert.Contains("8 rows", result.Output);
        Assert.DoesNotContain(_hub.Requests, request => request.Host == "store");
    }

    [Fact]
    public void Plan_WithoutWeights_IsThePlanWithThem()
    {
        var before = Run(Online, "plan", Config());
        Assert.DoesNotContain(_hub.Requests, request => request.Host == "store");
        Assert.Equal(0, Run(Online, "download", Model).ExitCode);
        var after = Run(Online, "plan", Config());

        Assert.True(before.ExitCode == 0, before.Error);
        Assert.Contains($"the weights of {Model} are not here (10.46 MiB)", before.Error);
        Assert.DoesNotContain("are not here", after.Error);
        Assert.Equal(after.Output, before.Output);
    }

    [Fact]
    public void Download_PrintsTheFolderAlone()
    {
        var model = Run(Online, "download", Model);
        var rows = Run(Online, "download", Rows, "--dataset");

        Assert.Equal(0, model.ExitCode + rows.ExitCode);
        var cache = Path.Combine(_folder.Path, "home", "hub");
        Assert.Equal(
            Path.Combine(cache, "models--Tiny-Org--Base-1.5", "snapshots", _model.Commit), model.Output.TrimEnd());
        Assert.Equal(Path.Combine(cache, "datasets--Tiny-Org--rows", "snapshots", _rows.Commit), rows.Output.TrimEnd());
        Assert.Equal(
            ["test.jsonl", "train.jsonl"],
            Directory.GetFiles(Path.Combine(rows.Output.TrimEnd(), "data")).Select(Path.GetFileName).Order());
        Assert.True(File.Exists(Path.Combine(model.Output.TrimEnd(), "model.safetensors")));
    }

    [Fact]
    public void Check_NameThatIsNowhere_SaysBothAndTheNearestFolder()
    {
        Directory.CreateDirectory(Path.Combine(_folder.Path, "models", "base"));

        var result = Run(Online, "check", Config(), "--base_model", "models/bass");

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("found no such folder", result.Error);
        Assert.Contains("there is no such model on 127.0.0.1", result.Error);
        Assert.Contains($"did you mean '{Path.Combine("models", "base")}'", result.Error);
    }

    [Fact]
    public void Check_WithoutNetwork_FailsWith1AndWithoutSafetensorsWith2()
    {
        _hub.AddModel("Tiny-Org/pickled").Add("config.json", "{}").Add("pytorch_model.bin", [1], large: true);
        var pickled = Run(Online, "download", "Tiny-Org/pickled");
        _hub.Dispose();
        var unreachable = Run(Online, "check", Config());

        Assert.Equal(2, pickled.ExitCode);
        Assert.Contains("pytorch_model.bin, which is a pickle", pickled.Error);
        Assert.Equal(1, unreachable.ExitCode);
        Assert.Contains("127.0.0.1 cannot be reached", unreachable.Error);
    }

    private static string Lines(string file, int count) =>
        string.Join('\n', File.ReadLines(Path.Combine(Example, file)).Take(count)) + "\n";

    private string Config() => _folder.Write(
        "run.yml",
        $"""
        base_model: {Model}
        load_in_4bit: true
        adapter: qlora
        lora_r: 4
        lora_alpha: 8
        datasets:
          - path: {Rows}
            type: chat_template
        test_datasets:
          - path: {Rows}
            split: test
            type: chat_template
        sequence_len: 256
        micro_batch_size: 2
        gradient_accumulation_steps: 1
        max_steps: 2
        learning_rate: 0.001
        optimizer: adamw_8bit
        save_steps: 2
        eval_steps: 2
        output_dir: ./out
        nibble:
          device: cpu
        """);

    private ProcessResult Run(Dictionary<string, string> environment, params string[] arguments) =>
        NibbleProcess.RunIn(_folder.Path, environment, arguments);
}
