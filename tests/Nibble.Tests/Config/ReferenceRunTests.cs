using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class ReferenceRunTests
{
    [Fact]
    public void ReferenceYaml_Unchanged_ResolvesToTheReferenceRun()
    {
        var loaded = ConfigLoader.Load(FindShared("axolotl_config.yaml"));
        var config = loaded.Config;

        Assert.Empty(loaded.Warnings);
        Assert.Equal("Qwen/Qwen2.5-Coder-7B-Instruct", config.BaseModel.Name);
        Assert.Equal(config.BaseModel, config.Tokenizer);
        Assert.Equal("models/checkpoints", config.OutputDir);
        Assert.Equal(42, config.Seed);
        Assert.Equal(new QuantizationOptions(WeightStorage.Nf4, DoubleQuantization: true), config.Quantization);
        var lora = config.Lora!;
        Assert.Equal((8, 16.0, 0.05), (lora.Rank, lora.Alpha, lora.Dropout));
        Assert.Equal(["q_proj", "v_proj", "k_proj", "o_proj"], lora.TargetModules);
        Assert.Null(lora.InitialAdapter);
        Assert.Equal(2.0, lora.Scaling);
        var train = Assert.Single(config.Data.Train);
        Assert.Equal(("data/processed/train.jsonl", "completion", "text"), (train.Path, train.Type, train.Field));
        var test = Assert.Single(config.Data.Test);
        Assert.Equal(("data/processed/val.jsonl", "completion", "train"), (test.Path, test.Type, test.Split));
        Assert.Equal(0, config.Data.ValidationSize);
        Assert.Empty(config.Data.SpecialTokens);
        Assert.Equal(
            new SequenceOptions(512, 2, ExcessLength.Drop, false, false, true, 0.05), config.Sequence);
        Assert.Equal(new BatchOptions(1, 4, 1, 1, 500, LossNormalization.Token), config.Batch);
        Assert.Equal(
            new OptimizerOptions(OptimizerKind.AdamW8Bit, 2e-4, 0, 0.9, 0.999, 1e-8, 1), config.Optimizer);
        Assert.Equal(new ScheduleOptions(ScheduleKind.Cosine, 50, null, null, null), config.Schedule);
        Assert.Equal(new Interval(IntervalKind.Steps, 50), config.Evaluation.Every);
        Assert.Equal(new SaveOptions(new Interval(IntervalKind.Steps, 100), 3, false, false, null, false), config.Save);
        Assert.Equal(10, config.Logging.Steps);
        Assert.Equal(
            new WandbOptions("SecureCLI-Training", "phase2-training-v2", null, null, null, "false"),
            config.Logging.Wandb);
        Assert.Equal(new EngineOptions("auto", null, RecomputeMode.Allowed, null), config.Engine);
    }

    [Fact]
    public void ReferenceYaml_EveryKey_IsHonouredOrBuiltIn()
    {
        var keys = ConfigLoader.Load(FindShared("axolotl_config.yaml")).Keys;

        Assert.All(keys, key => Assert.True(key.Status is KeyStatus.Honoured or KeyStatus.Equivalent, key.Key));
        Assert.Contains(keys, key => key is { Key: "wandb_name", Value: "phase2-training-v2" });
        Assert.Contains(keys, key => key.Key == "load_in_4bit"
            && key.Effective.Contains("NF4, with double quantisation", StringComparison.Ordinal));
        Assert.Contains(keys, key => key is { Key: "lora_model_dir", Effective: "not set" });
        Assert.Contains(keys, key => key is { Key: "bf16", Status: KeyStatus.Equivalent });
    }

    [Fact]
    public void SmokeYaml_Unchanged_ResolvesToTenSteps()
    {
        var config = ConfigLoader.Load(FindShared("axolotl_smoke_test.yaml")).Config;

        Assert.Equal(10, config.Batch.MaxSteps);
        Assert.Equal(2, config.Schedule.WarmupSteps);
        Assert.Equal(new Interval(IntervalKind.Steps, 5), config.Evaluation.Every);
        Assert.Equal(2, config.Save.TotalLimit);
        Assert.Equal(1, config.Logging.Steps);
        Assert.Equal("json", Assert.Single(config.Data.Test).FileFormat);
        Assert.Equal("checkpoint", config.Logging.Wandb!.LogModel);
    }

    private static string FindShared(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "shared", "data", "reference-run", name);
            if (File.Exists(path))
            {
                return path;
            }
        }

        Assert.Skip($"needs shared/data/reference-run/{name} beside the repository");
        return "";
    }
}
