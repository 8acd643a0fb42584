namespace Nibble.Config;

/// <summary>
/// A run as the YAML that says all of it: every key that has an effect, in the order of the documentation. Keys without
/// a value stand as comments that say what happens instead.
/// </summary>
public static class ConfigPrinter
{
    /// <summary>
    /// Prints a run. Parsing the text gives an equal run (but for the lines data sets were written on).
    /// </summary>
    /// <param name="config">The run.</param>
    /// <param name="sources">
    /// Dotted key to where its value came from; absent keys are marked as defaults. Null prints no marks.
    /// </param>
    public static string Print(RunConfig config, IReadOnlyDictionary<string, string>? sources = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        var page = new YamlPage(sources);
        PrintModel(page, config);
        PrintData(page, config.Data);
        PrintSteps(page, config);
        PrintPoints(page, config);
        PrintLogging(page, config.Logging);
        return page.ToString();
    }

    private static void PrintModel(YamlPage page, RunConfig config)
    {
        page.Text("base_model", config.BaseModel.Name);
        page.TextIfAny("revision_of_model", config.BaseModel.Commit ?? config.BaseModel.Revision);
        page.Text("tokenizer_config", config.Tokenizer.Name);
        page.Text("output_dir", config.OutputDir);
        page.Number("seed", config.Seed);
        page.Break();

        page.Flag("load_in_4bit", config.Quantization.Storage != WeightStorage.Dense);
        if (config.Quantization.Storage != WeightStorage.Dense)
        {
            page.Open("bnb_config_kwargs");
            page.Text("bnb_4bit_quant_type", config.Quantization.Storage == WeightStorage.Fp4 ? "fp4" : "nf4");
            page.Flag("bnb_4bit_use_double_quant", config.Quantization.DoubleQuantization);
            page.Close();
        }

        page.Text("adapter", config.Lora is null ? null : config.Quantization.Storage == WeightStorage.Dense
            ? "lora" : "qlora");
        if (config.Lora is { } lora)
        {
            page.Number("lora_r", lora.Rank);
            page.Number("lora_alpha", lora.Alpha);
            page.Number("lora_dropout", lora.Dropout);
            page.List("lora_target_modules", lora.TargetModules);
            page.Flag("peft_use_rslora", lora.RankStabilized);
            page.Text("lora_model_dir", lora.InitialAdapter);
            page.Number("loraplus_lr_ratio", lora.LoraPlusRatio);
        }

        page.Break();
    }

    private static void PrintData(YamlPage page, DataOptions data)
    {
        page.Datasets("datasets", data.Train);
        page.Datasets("test_datasets", data.Test);
        page.Number("val_set_size", data.ValidationSize);
        page.Text("chat_template", data.ChatTemplate);
        page.Text("chat_template_jinja", data.ChatTemplateJinja);
        page.List("eot_tokens", data.EotTokens);
        page.Text("default_system_message", data.DefaultSystemMessage);
        page.Flag("train_on_inputs", data.TrainOnInputs);
        page.Flag("shuffle_merged_datasets", data.Shuffle);
        page.Flag("dataset_exact_deduplication", data.ExactDeduplication);
        if (data.SpecialTokens.Count > 0)
        {
            page.Open("special_tokens");
            foreach (var (name, token) in data.SpecialTokens)
            {
                page.Text(name, token);
            }

            page.Close();
        }

        page.Break();
    }

    private static void PrintSteps(YamlPage page, RunConfig config)
    {
        page.Number("sequence_len", config.Sequence.Length);
        page.Text("excess_length_strategy", config.Sequence.Excess switch
        {
            ExcessLength.Truncate => "truncate",
            ExcessLength.Raise => "raise",
            _ => "drop",
        });
        page.Number("min_sample_len", config.Sequence.MinimumLength);
        page.Flag("sample_packing", config.Sequence.SamplePacking);
        page.Flag("eval_sample_packing", config.Sequence.EvalSamplePacking);
        page.Flag("pad_to_sequence_len", config.Sequence.PadToLength);
        page.Break();

        page.Number("micro_batch_size", config.Batch.MicroBatchSize);
        page.Number("gradient_accumulation_steps", config.Batch.AccumulationSteps);
        page.Number("eval_batch_size", config.Batch.EvalBatchSize);
        page.Number("num_epochs", config.Batch.Epochs);
        page.Number("max_steps", config.Batch.MaxSteps);
        page.Text(
            "loss_normalization", config.Batch.Normalization == LossNormalization.Sequence ? "sequence" : "token");
        page.Break();

        page.Text("optimizer", config.Optimizer.Kind == OptimizerKind.AdamW8Bit ? "adamw_8bit" : "adamw_torch_fused");
        page.Number("learning_rate", config.Optimizer.LearningRate);
        page.Number("weight_decay", config.Optimizer.WeightDecay);
        page.Number("adam_beta1", config.Optimizer.Beta1);
        page.Number("adam_beta2", config.Optimizer.Beta2);
        page.Number("adam_epsilon", config.Optimizer.Epsilon);
        page.Number("max_grad_norm", config.Optimizer.MaxGradNorm);
        page.Text("lr_scheduler", config.Schedule.Kind switch
        {
            ScheduleKind.Linear => "linear",
            ScheduleKind.Constant => "constant",
            ScheduleKind.ConstantWithWarmup => "constant_with_warmup",
            _ => "cosine",
        });
        page.Number("warmup_steps", config.Schedule.WarmupSteps);
        page.Number("warmup_ratio", config.Schedule.WarmupRatio);
        page.Number("cosine_min_lr_ratio", config.Schedule.CosineMinRatio);
        page.Number("cosine_constant_lr_ratio", config.Schedule.CosineConstantRatio);
        page.Break();
    }

    private static void PrintPoints(YamlPage page, RunConfig config)
    {
        var evaluation = config.Evaluation;
        page.Interval("eval_strategy", "eval_steps", evaluation.Every);
        page.Text("metric_for_best_model", evaluation.MetricForBest);
        page.Number("early_stopping_patience", evaluation.EarlyStoppingPatience);
        page.Flag("load_best_model_at_end", evaluation.LoadBestAtEnd);
        page.Flag("generate_samples", evaluation.GenerateSamples);
        page.Number("num_generation_samples", evaluation.SampleCount);
        page.Number("generation_max_new_tokens", evaluation.MaxNewTokens);
        page.Number("generation_temperature", evaluation.Temperature);
        page.Break();

        page.Interval("save_strategy", "save_steps", config.Save.Every);
        page.Number("save_total_limit", config.Save.TotalLimit ?? 0);
        page.Flag("save_only_model", config.Save.OnlyModel);
        page.Flag("save_first_step", config.Save.FirstStep);
        page.Text("resume_from_checkpoint", config.Save.ResumeFrom);
        page.Flag("auto_resume_from_checkpoints", config.Save.AutoResume);
        page.Break();

        page.Flag("gradient_checkpointing", config.Engine.Recompute != RecomputeMode.Never);
        page.Text("gpu_memory_limit", config.Engine.MemoryLimitBytes is { } bytes ? SizeOf(bytes) : null);
        page.Open("nibble");
        page.Text("device", config.Engine.Device);
        page.Number("threads", config.Engine.Threads);
        page.Text("recompute", config.Engine.Recompute switch
        {
            RecomputeMode.Always => "always",
            RecomputeMode.Allowed => "allowed",
            _ => "never",
        });
        page.Number("max_dropped_share", config.Sequence.MaximumDroppedShare);
        page.Close();
        page.Break();
    }

    private static void PrintLogging(YamlPage page, LoggingOptions logging)
    {
        page.Number("logging_steps", logging.Steps);
        page.Text("wandb_project", logging.Wandb?.Project);
        if (logging.Wandb is { } wandb)
        {
            page.Text("wandb_name", wandb.Name);
            page.Text("wandb_run_id", wandb.RunId);
            page.Text("wandb_entity", wandb.Entity);
            page.Text("wandb_mode", wandb.Mode);
            page.Text("wandb_log_model", wandb.LogModel);
        }

        page.Flag("use_tensorboard", logging.TensorBoard);
        page.Number("loss_watchdog_threshold", logging.LossWatchdogThreshold);
        page.Number("loss_watchdog_patience", logging.LossWatchdogPatience);
    }

    // The largest unit that divides it, so that no byte is lost to a decimal.
    private static string SizeOf(long bytes) =>
        bytes % (1L << 30) == 0 ? $"{bytes >> 30}GiB"
        : bytes % (1L << 20) == 0 ? $"{bytes >> 20}MiB"
        : $"{bytes}B";
}
