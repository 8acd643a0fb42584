using System.Text;
using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class ConfigErrorTests
{
    [Fact]
    public void UnknownKey_NearAKnownOne_NamesLineColumnAndNearest()
    {
        var text = Configs.Minimal.Swap("learning_rate", "learnin_rate") + "learning_rate: 1";

        var finding = Configs.RefusedOnce(text);

        Assert.Equal(("run.yml", 5, 1), (finding.File, finding.Line, finding.Column));
        Assert.Equal(("learnin_rate", "learning_rate"), (finding.Key, finding.Nearest));
        Assert.Equal(
            "run.yml:5:1: learnin_rate: unknown key. Did you mean 'learning_rate'?", finding.ToString());
    }

    [Fact]
    public void UnknownKey_InADatasetEntry_NamesItsPathAndNearest()
    {
        var finding = Configs.RefusedOnce(Configs.Minimal.Swap("    type:", "    tpye:"));

        Assert.Equal(("datasets.0.tpye", 4, 5), (finding.Key, finding.Line, finding.Column));
        Assert.Equal("type", finding.Nearest);
    }

    [Fact]
    public void KnownKey_AtTheWrongLevel_SaysWhereItBelongs()
    {
        var up = Configs.RefusedOnce(Configs.Minimal + "field: text\n");
        var down = Configs.RefusedOnce(Configs.Minimal.Swap("    type:", "    seed: 1\n    type:"));

        Assert.Contains("belongs under datasets[]", up.Problem, StringComparison.Ordinal);
        Assert.Contains("belongs at the top level", down.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownKey_Lenient_IsAWarningAndIgnored()
    {
        var loaded = ConfigLoader.Parse(Configs.Minimal + "sede: 7\n", Configs.File, [], lenient: true);

        Assert.Equal("seed", Assert.Single(loaded.Warnings).Nearest);
        Assert.Equal(KeyStatus.Ignored, loaded.Keys.Single(key => key.Key == "sede").Status);
        Assert.Equal(42, loaded.Config.Seed);
    }

    [Theory]
    [InlineData("wandb_api_key: abc123secret")]
    [InlineData("hf_token: abc123secret")]
    [InlineData("nibble:\n  password: abc123secret")]
    public void Secret_InYaml_IsRefusedEvenLenientlyAndNeverEchoed(string line)
    {
        var e = Assert.Throws<ConfigException>(
            () => ConfigLoader.Parse(Configs.Minimal + line, Configs.File, [], lenient: true));

        Assert.Contains("environment", Assert.Single(e.Findings).Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("abc123secret", e.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(e.Keys, key => key.Value.Contains("abc123secret", StringComparison.Ordinal));
    }

    [Fact]
    public void Secret_AsAFlag_IsRefusedAndNeverEchoed()
    {
        var finding = Configs.RefusedOnce(Configs.Minimal, "--wandb_api_key", "abc123secret");

        Assert.Contains("environment", finding.Problem, StringComparison.Ordinal);
        Assert.DoesNotContain("abc123secret", finding.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void DuplicateKeys_AllOfThem_NameTheFirstLine()
    {
        var findings = Configs.Refused(Configs.Minimal + "seed: 1\nseed: 2\nlearning_rate: 3\n");

        Assert.Equal(["seed", "learning_rate"], findings.Select(finding => finding.Key));
        Assert.Equal([7, 8], findings.Select(finding => finding.Line));
        Assert.Contains("first on line 6", findings[0].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void DuplicateKey_UnderAnAlias_NamesTheFirstLine()
    {
        var finding = Configs.RefusedOnce(Configs.Minimal + "wandb_project: p\nwandb_name: a\nwandb_run_name: b\n");

        Assert.Equal(("wandb_run_name", 8), (finding.Key, finding.Line));
        Assert.Contains("'wandb_name'", finding.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("base_model: m\n\tseed: 1\n", 2, 1, "tab")]
    [InlineData("base_model: [m\nseed: 1\n", 1, 13, "invalid YAML")]
    [InlineData("base_model: m\n  seed: 1\n", 2, 7, "invalid YAML")]
    [InlineData("base_model: *nothing\n", 1, 13, "names no anchor")]
    [InlineData("base_model: !!python/object:os.system m\n", 1, 13, "tag")]
    [InlineData("a: 1\n---\nb: 1\n", 2, 1, "second YAML document")]
    [InlineData("- a\n- b\n", 1, 1, "mapping of keys")]
    public void InvalidYaml_OfEachKind_NamesItsPlace(string text, int line, int column, string problem)
    {
        var finding = Configs.RefusedOnce(text);

        Assert.Contains(problem, finding.Problem, StringComparison.Ordinal);
        Assert.Equal((line, column), (finding.Line, finding.Column));
    }

    [Fact]
    public void InvalidYaml_NestedWithoutEnd_IsRefusedBeforeTheStackEnds() => Assert.Contains(
        "levels deep",
        Configs.RefusedOnce("a: " + new string('[', 100_000)).Problem,
        StringComparison.Ordinal);

    [Fact]
    public void InvalidYaml_AliasesThatMultiply_AreRefusedBeforeMemoryEnds()
    {
        var text = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 12; i++)
        {
            text.Append($"a{i}: &a{i} [").AppendJoin(", ", Enumerable.Repeat($"*a{i - 1}", 10)).Append("]\n");
        }

        var problem = Configs.RefusedOnce(text.ToString()).Problem;
        Assert.Contains("more than 50000 values", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void InvalidUtf8_InTheFile_NamesItsPlace()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, [.. "a: ä\nb: "u8, 0xE4, .. "\n"u8]);
            var e = Assert.Throws<ConfigException>(() => ConfigLoader.Load(path));

            var finding = Assert.Single(e.Findings);
            Assert.Equal((2, 4, "the byte 0xE4"), (finding.Line, finding.Column, finding.Found));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void MissingFile_AndFolder_AreNamed()
    {
        var missing = Assert.Throws<ConfigException>(() => ConfigLoader.Load("no/such.yml"));
        var folder = Assert.Throws<ConfigException>(() => ConfigLoader.Load(Path.GetTempPath()));

        Assert.Equal("no/such.yml: there is no such file.", missing.Message);
        Assert.Contains("this is a folder", folder.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("adapter: 5", "adapter", 10, "the number 5", "one of the allowed names")]
    [InlineData("weight_decay: abc", "weight_decay", 15, "the text 'abc'", "a number at least 0")]
    [InlineData("seed: 1.5", "seed", 7, "the number 1.5", "a whole number at least 0")]
    [InlineData("seed: -1", "seed", 7, "the number -1", "a whole number at least 0")]
    [InlineData("seed: 99999999999", "seed", 7, "the number 99999999999", "a whole number at least 0")]
    [InlineData("train_on_inputs: maybe", "train_on_inputs", 18, "the text 'maybe'", "true or false")]
    [InlineData("train_on_inputs: [true]", "train_on_inputs", 18, "a list of 1", "true or false")]
    [InlineData("output_dir: 5", "output_dir", 13, "the number 5", "text")]
    [InlineData("output_dir: yes", "output_dir", 13, "the boolean yes", "text")]
    [InlineData("output_dir: {a: b}", "output_dir", 13, "a mapping", "text")]
    [InlineData("eot_tokens: x", "eot_tokens", 13, "the text 'x'", "a list of text")]
    [InlineData("eot_tokens: [1]", "eot_tokens.0", 14, "the number 1", "text")]
    [InlineData("eot_tokens: [~]", "eot_tokens.0", 14, "nothing", "text")]
    [InlineData("datasets: {path: x}", "datasets", 11, "a mapping", "a list of mappings")]
    [InlineData("special_tokens: x", "special_tokens", 17, "the text 'x'", "a mapping")]
    [InlineData("test_datasets: [x]", "test_datasets.0", 17, "the text 'x'", "a mapping with the keys of an entry")]
    [InlineData("gpu_memory_limit: 24 apples", "gpu_memory_limit", 19, "the text '24 apples'",
        "a number or a size such as 24GiB")]
    [InlineData("lora_dropout: 1", "lora_dropout", 15, "the number 1", "a number from 0 to 1, 1 excluded")]
    [InlineData("adam_epsilon: .inf", "adam_epsilon", 15, "the text '.inf'", "a number above 0")]
    public void WrongType_OfEachKind_SaysExpectedAndFound(
        string line, string key, int column, string found, string expected)
    {
        var text = key == "datasets" ? "base_model: m\nlearning_rate: 1\n\n\n\n" : Configs.Minimal;
        var finding = Configs.RefusedOnce(text + line);

        Assert.Equal((key, 6, column), (finding.Key, finding.Line, finding.Column));
        Assert.Equal(found, finding.Found);
        Assert.Equal(expected, finding.Expected);
    }

    [Fact]
    public void WrongType_OctalLooking_SaysWhy() => Assert.Contains(
        "leading zero", Configs.RefusedOnce(Configs.Minimal + "seed: 010").Problem, StringComparison.Ordinal);

    [Theory]
    [InlineData("optimizer: lion_8bit", "optimizer", "adamw_bnb_8bit", null)]
    [InlineData("optimizer: adamw_bnb_8bt", "optimizer", "paged_adamw", "adamw_bnb_8bit")]
    [InlineData("lr_scheduler: polynomial", "lr_scheduler", "constant_with_warmup", null)]
    [InlineData("lr_scheduler: cosin", "lr_scheduler", "linear", "cosine")]
    [InlineData("excess_length_strategy: dorp", "excess_length_strategy", "truncate", "drop")]
    [InlineData("nibble: {recompute: alwais}", "nibble.recompute", "never", "always")]
    [InlineData("nibble: {device: gpu}", "nibble.device", "cuda:N", "cuda")]
    [InlineData("nibble: {device: 'cuda:x'}", "nibble.device", "cuda:N", "cuda")]
    [InlineData("plugins: [my.Plugin]", "plugins.0", "axolotl.integrations.liger.LigerPlugin", null)]
    public void ValueOutsideTheList_OfEachKey_GivesTheListAndTheNearest(
        string line, string key, string oneAllowed, string? nearest)
    {
        var finding = Configs.RefusedOnce(Configs.Minimal + line);

        Assert.Equal(key, finding.Key);
        Assert.Contains(oneAllowed, finding.Allowed);
        Assert.Equal(nearest, finding.Nearest);
    }

    [Fact]
    public void TargetModule_Mistyped_NamesTheModule()
    {
        var finding = Configs.RefusedOnce(Configs.Lora + "lora_target_modules: [q_proj, v_porj]");

        Assert.Equal(("lora_target_modules.1", "v_proj"), (finding.Key, finding.Nearest));
    }

    [Fact]
    public void DatasetType_Unsupported_GivesTheTypes()
    {
        var finding = Configs.RefusedOnce(Configs.Minimal.Swap("type: completion", "type: sharegpt"));

        Assert.Equal("datasets.0.type", finding.Key);
        Assert.Equal(["completion", "alpaca", "chat_template", "input_output"], finding.Allowed);
    }

    [Theory]
    [InlineData("peft_use_dora: true", "not supported yet: DoRA")]
    [InlineData("lora_modules_to_save: [lm_head]", "not supported yet")]
    [InlineData("neftune_noise_alpha: 5", "not supported yet: NEFTune")]
    [InlineData("lora_bias: all", "refused: biases stay frozen")]
    [InlineData("hub_model_id: me/model", "not supported yet: uploading")]
    [InlineData("fp16: true", "refused: fp16 overflows")]
    [InlineData("load_in_8bit: true", "use load_in_4bit")]
    [InlineData("peft_init_lora_weights: false", "not supported yet")]
    [InlineData("deepspeed: zero2.json", "one device")]
    [InlineData("rl: dpo", "not supported yet: preference")]
    [InlineData("peft: {loftq_config: {loftq_bits: 4}}", "LoftQ")]
    public void RefusedKey_WhenOn_SaysWhy(string line, string reason)
    {
        var finding = Configs.RefusedOnce(Configs.Minimal + line);

        Assert.Contains(reason, finding.Problem, StringComparison.Ordinal);
        Assert.Equal(6, finding.Line);
    }

    [Theory]
    [InlineData("peft_use_dora: false")]
    [InlineData("lora_modules_to_save: []")]
    [InlineData("neftune_noise_alpha:")]
    [InlineData("lora_bias: none")]
    [InlineData("hub_model_id: null")]
    [InlineData("fp16: no")]
    [InlineData("load_in_8bit: false")]
    [InlineData("peft_init_lora_weights: true")]
    [InlineData("sample_packing_bin_size: 200")]
    [InlineData("tokens: []")]
    public void RefusedKey_WhenOff_Passes(string line) => Assert.NotNull(Configs.Of(Configs.Minimal + line));

    [Fact]
    public void EmptyFile_Lacks_TheThreeRequiredKeys() => Assert.Equal(
        ["base_model", "datasets", "learning_rate"],
        Configs.Refused("# nothing\n").Select(finding => finding.Key).Order());

    [Fact]
    public void EmptyDatasets_AndEntryWithoutPath_AreRefused()
    {
        var none = Configs.RefusedOnce("base_model: m\nlearning_rate: 1e-4\ndatasets: []\n");
        var pathless = Configs.RefusedOnce("base_model: m\nlearning_rate: 1e-4\ndatasets:\n  - type: completion\n");

        Assert.Equal(("datasets", 3, "an empty list"), (none.Key, none.Line, none.Found));
        Assert.Equal(("datasets.0.path", 4), (pathless.Key, pathless.Line));
    }

    [Fact]
    public void Nul_InAPath_IsRefused() => Assert.Contains(
        "NUL",
        Configs.RefusedOnce(Configs.Minimal.Swap("train.jsonl", "\"a\\0b\"")).Problem,
        StringComparison.Ordinal);

    [Fact]
    public void SeveralErrors_OfDifferentKinds_AreThrownTogetherInOrder()
    {
        var e = Assert.Throws<ConfigException>(() => Configs.Of("""
            base_model: m
            sede: 1
            datasets:
              - path: a.jsonl
                tpye: completion
            load_in_4bit: true
            max_steps: many
            """));

        Assert.Equal(
            ["learning_rate", "sede", "datasets.0.tpye", "load_in_4bit", "max_steps"],
            e.Findings.Select(finding => finding.Key));
        Assert.Equal(5, e.Message.Split('\n').Length);
        Assert.Contains(e.Keys, key => key is { Key: "base_model", Status: KeyStatus.Honoured });
    }
}
