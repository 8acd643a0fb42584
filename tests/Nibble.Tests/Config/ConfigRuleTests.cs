namespace Nibble.Tests.Config;

/// <summary>
/// Keys that contradict each other: the finding stands at the later key and names the place of the earlier.
/// </summary>
public sealed class ConfigRuleTests
{
    [Theory]
    [InlineData("warmup_steps: 5\nwarmup_ratio: 0.1", "warmup_ratio", "warmup_steps (line 12)")]
    [InlineData("warmup_ratio: 0.1\nwarmup_steps: 5", "warmup_steps", "warmup_ratio (line 12)")]
    [InlineData("batch_size: 8\ngradient_accumulation_steps: 2", "gradient_accumulation_steps", "batch_size (line 12)")]
    [InlineData("val_set_size: 0.1", "val_set_size", "test_datasets (line 9)")]
    [InlineData("eval_steps: 5\nevals_per_epoch: 2", "evals_per_epoch", "eval_steps (line 12)")]
    [InlineData("eval_strategy: epoch\neval_steps: 5", "eval_steps", "eval_strategy (line 12)")]
    [InlineData("eval_strategy: no\neval_steps: 5", "eval_steps", "eval_strategy (line 12)")]
    [InlineData("eval_strategy: epoch\nevals_per_epoch: 2", "evals_per_epoch", "eval_strategy (line 12)")]
    [InlineData("eval_strategy: steps", "eval_strategy", "needs eval_steps")]
    [InlineData("eval_steps: 2.5", "eval_steps", "must be whole")]
    [InlineData("save_steps: 5\nsaves_per_epoch: 2", "saves_per_epoch", "save_steps (line 12)")]
    [InlineData("save_strategy: \"no\"\nsave_steps: 5", "save_steps", "save_strategy (line 12)")]
    [InlineData("save_strategy: epoch\nsave_steps: 5", "save_steps", "save_strategy (line 12)")]
    [InlineData("load_best_model_at_end: true\neval_steps: 50\nsave_steps: 75", "load_best_model_at_end",
        "every 75 steps")]
    [InlineData("load_best_model_at_end: true\neval_steps: 50", "load_best_model_at_end", "saves every epoch")]
    [InlineData("load_best_model_at_end: true\nsave_strategy: no", "load_best_model_at_end", "switched off")]
    [InlineData("early_stopping_patience: 2\neval_strategy: no", "early_stopping_patience", "needs evaluations")]
    [InlineData("resume_from_checkpoint: c\nauto_resume_from_checkpoints: true", "auto_resume_from_checkpoints",
        "resume_from_checkpoint (line 12)")]
    [InlineData("cosine_constant_lr_ratio: 0.8", "cosine_constant_lr_ratio", "needs cosine_min_lr_ratio")]
    [InlineData("lr_scheduler: linear\ncosine_min_lr_ratio: 0.1", "cosine_min_lr_ratio", "lr_scheduler (line 12)")]
    [InlineData("micro_batch_size: 3\nbatch_size: 8", "batch_size", "multiple of micro_batch_size, which is 3")]
    [InlineData("max_steps: 0", "max_steps", "no steps")]
    [InlineData("min_sample_len: 600", "min_sample_len", "larger than sequence_len")]
    [InlineData("chat_template: jinja", "chat_template", "chat_template_jinja")]
    [InlineData("bf16: false\nnibble: {device: cuda}", "bf16", "a GPU computes in bf16")]
    [InlineData("bnb_config_kwargs: {bnb_4bit_quant_type: fp4}", "bnb_config_kwargs", "without load_in_4bit")]
    public void Contradiction_WithinARun_NamesBothKeys(string lines, string key, string problem)
    {
        var text = Configs.Lora + lines;
        var finding = Configs.RefusedOnce(text);

        Assert.Equal(key, finding.Key);
        Assert.Equal(Configs.LineOf(text, key + ":"), finding.Line);
        Assert.Contains(problem, finding.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("load_in_4bit: true", "load_in_4bit", "add adapter: lora")]
    [InlineData("lora_r: 8", "lora_r", "needs an adapter")]
    [InlineData("lora_target_linear: true", "lora_target_linear", "needs an adapter")]
    [InlineData("peft_use_rslora: true", "peft_use_rslora", "needs an adapter")]
    [InlineData("eval_steps: 5", "eval_steps", "no evaluation data")]
    [InlineData("eval_strategy: epoch", "eval_strategy", "no evaluation data")]
    [InlineData("evals_per_epoch: 2", "evals_per_epoch", "no evaluation data")]
    [InlineData("early_stopping_patience: 2", "early_stopping_patience", "no evaluation data")]
    [InlineData("load_best_model_at_end: true", "load_best_model_at_end", "no evaluation data")]
    [InlineData("generate_samples: true", "generate_samples", "no evaluation data")]
    [InlineData("val_set_size: 1", "val_set_size", "leaves none to train")]
    [InlineData("val_set_size: 10.5", "val_set_size", "must be whole")]
    [InlineData("adapter: qlora\nlora_r: 8\nlora_alpha: 16", "adapter", "add load_in_4bit: true")]
    public void Contradiction_WithoutAdapterOrEvaluation_SaysWhatIsMissing(string lines, string key, string problem)
    {
        var finding = Configs.RefusedOnce(Configs.Minimal + lines);

        Assert.Equal((key, 6), (finding.Key, finding.Line));
        Assert.Contains(problem, finding.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Adapter_WithoutRankAndAlpha_AsksForBoth()
    {
        var findings = Configs.Refused(Configs.Minimal + "adapter: lora\n");

        Assert.Equal(["lora_r", "lora_alpha"], findings.Select(finding => finding.Key));
        Assert.All(findings, finding => Assert.Equal(6, finding.Line));
    }

    [Fact]
    public void FourAndEightBit_Together_AreRefusedForBothReasons()
    {
        var findings = Configs.Refused(Configs.Lora + "load_in_4bit: true\nload_in_8bit: true\n");

        Assert.Contains(findings, finding => finding.Problem.Contains("refused", StringComparison.Ordinal));
        Assert.Contains(
            findings,
            finding => finding.Problem.Contains("contradicts load_in_4bit (line 12)", StringComparison.Ordinal));
    }

    [Fact]
    public void Bf16AndFp16_Together_AreRefusedForBothReasons() => Assert.Contains(
        Configs.Refused(Configs.Lora + "bf16: true\nfp16: true\n"),
        finding => finding.Problem.Contains("contradicts bf16 (line 12)", StringComparison.Ordinal));

    [Fact]
    public void Contradiction_BetweenFileAndFlag_StandsAtTheFlag()
    {
        var finding = Configs.RefusedOnce(Configs.Lora + "warmup_steps: 5\n", "--warmup_ratio", "0.1");

        Assert.Equal(("warmup_ratio", "warmup_ratio", 0), (finding.Flag, finding.Key, finding.Line));
        Assert.Contains("warmup_steps (line 12)", finding.Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("eval_strategy: no")]
    [InlineData("evals_per_epoch: 0")]
    [InlineData("load_best_model_at_end: false")]
    [InlineData("generate_samples: false")]
    [InlineData("lora_target_linear: false")]
    [InlineData("val_set_size: 0.0")]
    [InlineData("load_in_4bit: false")]
    public void KeyThatIsOff_WithoutItsPartner_IsNoContradiction(string line) =>
        Assert.Equal(Nibble.Config.IntervalKind.Never, Configs.Of(Configs.Minimal + line).Evaluation.Every.Kind);
}
