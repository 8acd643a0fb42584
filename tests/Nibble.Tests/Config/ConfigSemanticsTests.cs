using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class ConfigSemanticsTests
{
    private static readonly string[] AllProjections =
        ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    [Fact]
    public void Minimal_Defaults_AreAxolotls()
    {
        var config = Configs.Of(Configs.Minimal);

        Assert.Equal("./model-out", config.OutputDir);
        Assert.Equal(42, config.Seed);
        Assert.Null(config.Lora);
        Assert.Equal(WeightStorage.Dense, config.Quantization.Storage);
        Assert.Equal(new SequenceOptions(512, 2, ExcessLength.Drop, false, false, false, 0.05), config.Sequence);
        Assert.Equal(new BatchOptions(1, 1, 1, 1, null, LossNormalization.Token), config.Batch);
        Assert.Equal(new OptimizerOptions(OptimizerKind.AdamW, 2e-4, 0, 0.9, 0.999, 1e-8, 1), config.Optimizer);
        Assert.Equal(new ScheduleOptions(ScheduleKind.Cosine, null, null, null, null), config.Schedule);
        Assert.Equal(IntervalKind.Never, config.Evaluation.Every.Kind);
        Assert.Equal(new SaveOptions(new Interval(IntervalKind.Epoch, 0), 4, false, false, null, false), config.Save);
        Assert.Null(config.Logging.Wandb);
        Assert.Equal(new EngineOptions("auto", null, RecomputeMode.Never, null), config.Engine);
        Assert.True(config.Data.Shuffle);
        Assert.Equal(["assistant"], config.Data.Train[0].RolesToTrain);
        Assert.Equal("turn", config.Data.Train[0].TrainOnEos);
    }

    [Theory]
    [InlineData("learning_rate: 1e-4", 1e-4)]
    [InlineData("learning_rate: 1E-4", 1e-4)]
    [InlineData("learning_rate: '2.5e-5'", 2.5e-5)]
    [InlineData("learning_rate: .001", 1e-3)]
    [InlineData("learning_rate: 1_0.5", 10.5)]
    public void Number_AsPythonUsersWriteIt_IsRead(string line, double expected) => Assert.Equal(
        expected,
        Configs.Of(Configs.Minimal.Swap("learning_rate: 2e-4", line)).Optimizer.LearningRate);

    [Theory]
    [InlineData("1_000", 1000)]
    [InlineData("8.0", 8)]
    [InlineData("1e3", 1000)]
    [InlineData("+7", 7)]
    public void Integer_AsPythonUsersWriteIt_IsRead(string text, int expected) =>
        Assert.Equal(expected, Configs.Of(Configs.Minimal + $"max_steps: {text}").Batch.MaxSteps);

    [Theory]
    [InlineData("yes", true)]
    [InlineData("No", false)]
    [InlineData("on", true)]
    [InlineData("OFF", false)]
    [InlineData("\"true\"", true)]
    [InlineData("1", true)]
    public void Boolean_InEverySpelling_IsRead(string text, bool expected) =>
        Assert.Equal(expected, Configs.Of(Configs.Minimal + $"train_on_inputs: {text}").Data.TrainOnInputs);

    [Theory]
    [InlineData("")]
    [InlineData("~")]
    [InlineData("null")]
    [InlineData("\"\"")]
    public void Value_EmptyOrNull_IsAbsent(string text) =>
        Assert.Equal("./model-out", Configs.Of(Configs.Minimal + $"output_dir: {text}").OutputDir);

    [Fact]
    public void Report_OfAKeyWithoutValue_SaysNotSet()
    {
        var loaded = ConfigLoader.Parse(Configs.Minimal + "lora_model_dir: null\nseed:\n", Configs.File);

        Assert.Equal("not set", loaded.Keys.Single(key => key.Key == "lora_model_dir").Effective);
        Assert.Matches("(?m)^seed: 42 +# default$", loaded.ResolvedYaml);
    }

    [Theory]
    [InlineData("adapter: lora", "", WeightStorage.Nf4, true)]
    [InlineData("adapter: qlora", "", WeightStorage.Nf4, true)]
    [InlineData("adapter: lora", "bnb_config_kwargs: {bnb_4bit_quant_type: fp4}", WeightStorage.Fp4, true)]
    [InlineData("adapter: lora", "bnb_config_kwargs: {bnb_4bit_use_double_quant: false}", WeightStorage.Nf4, false)]
    public void LoadIn4Bit_WithEitherAdapter_MeansNf4AndDoubleQuantisation(
        string adapter, string kwargs, WeightStorage storage, bool twice) => Assert.Equal(
        new QuantizationOptions(storage, twice),
        Configs.Of(Configs.Lora.Swap("adapter: lora", adapter) + "load_in_4bit: true\n" + kwargs)
            .Quantization);

    [Fact]
    public void TargetModules_FromListLinearAndDefault_AreWithoutDuplicates()
    {
        Assert.Equal(["q_proj", "v_proj"], Configs.Of(Configs.Lora).Lora!.TargetModules);
        Assert.Equal(AllProjections, Configs.Of(Configs.Lora + "lora_target_linear: true").Lora!.TargetModules);
        Assert.Equal(AllProjections, Configs.Of(Configs.Lora + "lora_target_modules: all-linear").Lora!.TargetModules);
        Assert.Equal(
            ["v_proj", "q_proj"],
            Configs.Of(Configs.Lora + "lora_target_modules: [v_proj, q_proj, v_proj]").Lora!.TargetModules);
        Assert.Equal(
            ["up_proj", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj"],
            Configs.Of(Configs.Lora + "lora_target_modules: up_proj\nlora_target_linear: true").Lora!.TargetModules);
    }

    [Theory]
    [InlineData("adamw_torch", OptimizerKind.AdamW, "fp32")]
    [InlineData("adamw_hf", OptimizerKind.AdamW, "fp32")]
    [InlineData("adamw_8bit", OptimizerKind.AdamW8Bit, "8-bit")]
    [InlineData("paged_adamw_8bit", OptimizerKind.AdamW8Bit, "nothing pages")]
    [InlineData("paged_adamw_32bit", OptimizerKind.AdamW, "nothing pages")]
    public void Optimizer_EachName_SelectsItsStates(string name, OptimizerKind kind, string effect)
    {
        var loaded = ConfigLoader.Parse(Configs.Minimal + $"optimizer: {name}", Configs.File);

        Assert.Equal(kind, loaded.Config.Optimizer.Kind);
        Assert.Contains(
            effect, loaded.Keys.Single(key => key.Key == "optimizer").Effective, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gradient_checkpointing: true", RecomputeMode.Allowed)]
    [InlineData("gradient_checkpointing: offload", RecomputeMode.Allowed)]
    [InlineData("gradient_checkpointing: false", RecomputeMode.Never)]
    [InlineData("gradient_checkpointing: true\nnibble: {recompute: never}", RecomputeMode.Never)]
    [InlineData("nibble: {recompute: always}", RecomputeMode.Always)]
    public void Recompute_FromBothKeys_OursWins(string lines, RecomputeMode expected) =>
        Assert.Equal(expected, Configs.Of(Configs.Minimal + lines).Engine.Recompute);

    [Theory]
    [InlineData("24GiB", 25769803776)]
    [InlineData("24GB", 24000000000)]
    [InlineData("24", 25769803776)]
    [InlineData("0.5", 536870912)]
    [InlineData("512 MiB", 536870912)]
    [InlineData("1_000B", 1000)]
    public void MemoryLimit_InEveryUnit_IsInBytes(string text, long expected) =>
        Assert.Equal(expected, Configs.Of(Configs.Minimal + $"gpu_memory_limit: {text}").Engine.MemoryLimitBytes);

    [Theory]
    [InlineData("", IntervalKind.Epoch, 0)]
    [InlineData("eval_steps: 50", IntervalKind.Steps, 50)]
    [InlineData("eval_steps: 0.1", IntervalKind.Fraction, 0.1)]
    [InlineData("eval_strategy: steps\neval_steps: 50", IntervalKind.Steps, 50)]
    [InlineData("evaluation_strategy: epoch", IntervalKind.Epoch, 0)]
    [InlineData("eval_strategy: no", IntervalKind.Never, 0)]
    [InlineData("evals_per_epoch: 1", IntervalKind.Epoch, 0)]
    [InlineData("evals_per_epoch: 4", IntervalKind.Fraction, 0.25)]
    [InlineData("evals_per_epoch: 4\nnum_epochs: 2", IntervalKind.Fraction, 0.125)]
    public void Evaluation_WithData_HappensAt(string lines, IntervalKind kind, double value) =>
        Assert.Equal(new Interval(kind, value), Configs.Of(Configs.Lora + lines).Evaluation.Every);

    [Theory]
    [InlineData("save_strategy: steps", IntervalKind.Steps, 500)]
    [InlineData("save_steps: 20", IntervalKind.Steps, 20)]
    [InlineData("saves_per_epoch: 2", IntervalKind.Fraction, 0.5)]
    [InlineData("save_strategy: no", IntervalKind.Never, 0)]
    [InlineData("save_strategy: epoch", IntervalKind.Epoch, 0)]
    public void Saving_HappensAt(string lines, IntervalKind kind, double value) =>
        Assert.Equal(new Interval(kind, value), Configs.Of(Configs.Minimal + lines).Save.Every);

    [Theory]
    [InlineData("eval_steps: 50\nsave_steps: 100")]
    [InlineData("eval_steps: 0.1\nsave_steps: 0.3")]
    [InlineData("eval_strategy: epoch")]
    public void LoadBest_WithMatchingPoints_Passes(string lines) =>
        Assert.True(Configs.Of(Configs.Lora + "load_best_model_at_end: true\n" + lines).Evaluation.LoadBestAtEnd);

    [Fact]
    public void BatchSize_Given_ResolvesAccumulation()
    {
        var loaded = ConfigLoader.Parse(Configs.Minimal + "micro_batch_size: 2\nbatch_size: 8", Configs.File);

        Assert.Equal(4, loaded.Config.Batch.AccumulationSteps);
        Assert.Matches("gradient_accumulation_steps: 4 +# from batch_size, line 7", loaded.ResolvedYaml);
    }

    [Fact]
    public void Packing_SwitchesOn_EvalPackingAndPadding()
    {
        var sequence = Configs.Of(Configs.Minimal + "sample_packing: true").Sequence;
        Assert.True(sequence.EvalSamplePacking && sequence.PadToLength);

        sequence = Configs.Of(Configs.Minimal + "sample_packing: true\neval_sample_packing: false").Sequence;
        Assert.False(sequence.EvalSamplePacking);
    }

    [Fact]
    public void Conversations_WithMappings_AreRead()
    {
        var set = Configs.Of("""
            base_model: m
            learning_rate: 1e-4
            datasets:
              - path: d
                type: chat_template
                data_files: a.jsonl
                field_messages: conversations
                message_property_mappings: {role: from, content: value}
                roles: {user: [human], assistant: [gpt, model], tool: }
                roles_to_train: [assistant, user]
                train_on_eos: all
            """).Data.Train[0];

        Assert.Equal("conversations", set.FieldMessages);
        Assert.Equal(("from", "value"), (set.MessageProperties["role"], set.MessageProperties["content"]));
        Assert.Equal(["gpt", "model"], set.Roles["assistant"]);
        Assert.DoesNotContain("tool", set.Roles.Keys);
        Assert.Equal(["assistant", "user"], set.RolesToTrain);
        Assert.Equal(["a.jsonl"], set.DataFiles);
        Assert.Equal(4, set.ConfigLine);
    }

    [Fact]
    public void AnchorsAndMerges_Resolve_AsPyYamlDoes()
    {
        var data = Configs.Of("""
            base_model: m
            learning_rate: 1e-4
            datasets:
              - &d {path: a.jsonl, type: completion}
              - <<: *d
                path: b.jsonl
            test_datasets: [*d]
            """).Data;

        Assert.Equal(["a.jsonl", "b.jsonl"], data.Train.Select(set => set.Path));
        Assert.All(data.Train, set => Assert.Equal("completion", set.Type));
        Assert.Equal("a.jsonl", Assert.Single(data.Test).Path);
    }

    [Theory]
    [InlineData("wandb_name: x", "wandb_name", "without wandb_project")]
    [InlineData("bf16: false", "bf16", "only the CPU")]
    [InlineData("lr_scheduler: constant\nwarmup_steps: 5", "warmup_steps", "no warm-up")]
    public void KeyWithoutEffect_IsAWarning(string lines, string key, string problem)
    {
        var warning = Assert.Single(ConfigLoader.Parse(Configs.Minimal + lines, Configs.File).Warnings);

        Assert.Equal(key, warning.Key);
        Assert.Contains(problem, warning.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void DatasetKey_OfAnotherType_IsAWarning()
    {
        var text = Configs.Minimal.Swap("    type:", "    train_on_eos: all\n    type:");
        var warning = Assert.Single(ConfigLoader.Parse(text, Configs.File).Warnings);

        Assert.Equal(("datasets.0.train_on_eos", 4), (warning.Key, warning.Line));
    }

    [Fact]
    public void Paths_BesideTheConfigFile_AreFoundUnlessTheyExistAsGiven()
    {
        var folder = Directory.CreateTempSubdirectory("nibble-config-");
        try
        {
            Directory.CreateDirectory(Path.Combine(folder.FullName, "model"));
            File.WriteAllText(Path.Combine(folder.FullName, "train.jsonl"), "");
            var path = Path.Combine(folder.FullName, "run.yml");
            File.WriteAllText(path, Configs.Lora);
            var config = ConfigLoader.Load(path).Config;

            Assert.Equal(Path.Combine(folder.FullName, "model"), config.BaseModel.Folder);
            Assert.Equal(config.BaseModel, config.Tokenizer);
            Assert.Equal(Path.Combine(folder.FullName, "train.jsonl"), config.Data.Train[0].Path);
            Assert.Equal("val.jsonl", config.Data.Test[0].Path);
            Assert.Equal("./model-out", config.OutputDir);

            var flag = ConfigLoader.Load(path, [new ConfigOverride("base_model", "model")]).Config;
            Assert.Equal("model", flag.BaseModel.Folder);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
