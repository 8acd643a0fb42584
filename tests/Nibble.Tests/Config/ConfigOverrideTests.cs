using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class ConfigOverrideTests
{
    [Fact]
    public void Arguments_InEveryForm_AreRead() => Assert.Equal(
        [
            new ConfigOverride("seed", "7"), new ConfigOverride("lora_r", "16"),
            new ConfigOverride("sample_packing", null),
            new ConfigOverride("wandb_name", "a=b"), new ConfigOverride("train_on_inputs", "no"),
            new ConfigOverride("use_tensorboard", null), new ConfigOverride("max_steps", "-1"),
        ],
        ConfigOverride.ParseArguments(
        [
            "--seed", "7", "--lora_r=16", "--sample_packing", "--wandb_name=a=b", "--train_on_inputs", "no",
            "--use_tensorboard", "--max_steps", "-1",
        ]));

    [Fact]
    public void Argument_WithoutAFlag_IsRefused()
    {
        var e = Assert.Throws<ConfigException>(() => ConfigOverride.ParseArguments(["--sample_packing", "other.yml"]));

        Assert.Contains("'other.yml' follows no flag", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Flag_OfAnyType_WinsOverTheFile()
    {
        var config = Configs.Of(
            Configs.Lora + "sequence_len: 256\nwandb_run_name: old\nwandb_project: p\n",
            "--sequence_len", "1024", "--wandb_name", "5", "--sample_packing",
            "--lora_target_modules", "q_proj, k_proj",
            "--nibble.device", "cpu", "--nibble.threads=2", "--datasets.0.path", "other.jsonl",
            "--learning_rate", "1e-5",
            "--special_tokens", "{pad_token: <pad>}", "--eot_tokens", "<end>,<stop>", "--lora-alpha", "32");

        Assert.Equal(1024, config.Sequence.Length);
        Assert.Equal("5", config.Logging.Wandb!.Name);
        Assert.True(config.Sequence.SamplePacking);
        Assert.Equal(["q_proj", "k_proj"], config.Lora!.TargetModules);
        Assert.Equal(32, config.Lora.Alpha);
        Assert.Equal(("cpu", 2), (config.Engine.Device, config.Engine.Threads!.Value));
        Assert.Equal(("other.jsonl", "completion"), (config.Data.Train[0].Path, config.Data.Train[0].Type));
        Assert.Equal(1e-5, config.Optimizer.LearningRate);
        Assert.Equal("<pad>", config.Data.SpecialTokens["pad_token"]);
        Assert.Equal(["<end>", "<stop>"], config.Data.EotTokens);
    }

    [Fact]
    public void Flag_Repeated_TheLastWins() =>
        Assert.Equal(2, Configs.Of(Configs.Minimal, "--seed", "1", "--seed", "2").Seed);

    [Fact]
    public void Flag_Null_UnsetsTheKey() =>
        Assert.Null(Configs.Of(Configs.Lora, "--adapter", "null", "--lora_r=null", "--lora_alpha=").Lora);

    [Fact]
    public void Flag_AtTheNextIndex_AddsAnEntry()
    {
        var data = Configs.Of(
            Configs.Minimal,
            "--datasets.1.path", "b.jsonl", "--datasets.1.type", "alpaca", "--test_datasets.0.path", "v").Data;

        Assert.Equal(
            [("train.jsonl", "completion"), ("b.jsonl", "alpaca")],
            data.Train.Select(set => (set.Path, set.Type!)));
        Assert.Equal("v", Assert.Single(data.Test).Path);
    }

    [Fact]
    public void Flag_OverAnAlias_LeavesTheAnchorAlone()
    {
        var data = Configs.Of(
            "base_model: m\nlearning_rate: 1\ndatasets: [&a {path: x}]\ntest_datasets: [*a]\n",
            "--test_datasets.0.path", "y").Data;

        Assert.Equal(("x", "y"), (data.Train[0].Path, data.Test[0].Path));
    }

    [Theory]
    [InlineData("--lernin_rate", "1", "learning_rate", "unknown key")]
    [InlineData("--nibble.devise", "cpu", "nibble.device", "unknown key in nibble")]
    [InlineData("--datasets.0.pth", "x", "datasets.0.path", "unknown key in datasets.0")]
    [InlineData("--datasets.5.path", "x", null, "has 1 entries")]
    [InlineData("--datasets.path", "x", null, "by its index")]
    [InlineData("--seed.x", "1", null, "holds no keys")]
    [InlineData("--seed", "abc", null, "wrong type")]
    [InlineData("--special_tokens", "{a", null, "invalid YAML")]
    [InlineData("--optimizer", "lion_8bit", null, "not supported")]
    [InlineData("--peft_use_dora", "true", null, "not supported yet")]
    public void Flag_Wrong_NamesTheFlagAndTheNearest(string flag, string value, string? nearest, string problem)
    {
        var finding = Configs.Refused(Configs.Minimal, flag, value)[0];

        Assert.Equal(flag[2..], finding.Flag);
        Assert.StartsWith($"flag {flag}: ", finding.ToString(), StringComparison.Ordinal);
        Assert.Equal(nearest, finding.Nearest);
        Assert.Contains(problem, finding.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Flag_BareForANumber_AsksForAValue() => Assert.Contains(
        "needs a value", Configs.RefusedOnce(Configs.Minimal, "--seed").Problem, StringComparison.Ordinal);

    [Fact]
    public void Flag_Unknown_IsAnErrorEvenLeniently() => Assert.Throws<ConfigException>(
        () => ConfigLoader.Parse(Configs.Minimal, Configs.File, [new ConfigOverride("sede", "1")], lenient: true));

    [Fact]
    public void Report_OfAFlag_NamesItsSource()
    {
        var loaded = ConfigLoader.Parse(Configs.Minimal, Configs.File, [new ConfigOverride("seed", "9")]);

        Assert.Equal("flag --seed", loaded.Keys.Single(key => key.Key == "seed").Source);
        Assert.Matches("(?m)^seed: 9 +# flag --seed$", loaded.ResolvedYaml);
        Assert.Matches("(?m)^learning_rate: 0.0002 +# line 5$", loaded.ResolvedYaml);
        Assert.Matches("(?m)^weight_decay: 0 +# default$", loaded.ResolvedYaml);
    }
}
