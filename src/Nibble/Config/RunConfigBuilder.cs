namespace Nibble.Config;

/// <summary>
/// Checked keys to a <see cref="RunConfig"/>: what keys mean together. Every getter falls back to the table's default,
/// so a run is built even from a wrong file, and all contradictions are found beside the wrong values.
/// </summary>
internal sealed partial class RunConfigBuilder(string file, ConfigChecker checker, ConfigSection root)
{
    private static readonly IReadOnlyList<string> DefaultTargets = ["q_proj", "v_proj"];

    /// <summary>In words what a key means for this run, where that is more than its value.</summary>
    public Dictionary<string, string> Effects { get; } = [];

    /// <summary>Keys whose value comes from another key, with that key's origin.</summary>
    public Dictionary<string, string> Derived { get; } = [];

    public RunConfig Build()
    {
        CheckContradictions();
        var revision = root.OptionalText("revision_of_model");
        var baseModel = new ModelSource(Required("base_model") ? ExistingPath(root, "base_model") : "", revision);
        var recompute = BuildRecompute();
        var data = BuildData();
        return new RunConfig
        {
            BaseModel = baseModel,
            Tokenizer = BuildTokenizer(baseModel),
            OutputDir = root.Text("output_dir"),
            Seed = root.Integer("seed"),
            Quantization = BuildQuantization(),
            Lora = BuildLora(),
            Data = data,
            Sequence = BuildSequence(),
            Batch = BuildBatch(),
            Optimizer = BuildOptimizer(),
            Schedule = BuildSchedule(),
            Evaluation = BuildEvaluation(data.Test.Count > 0 || data.ValidationSize > 0),
            Save = BuildSave(),
            Logging = BuildLogging(),
            Engine = new EngineOptions(
                BuildDevice(),
                root.Child("nibble").OptionalInteger("threads"),
                recompute,
                root.OptionalSize("gpu_memory_limit")),
        };
    }

    // The revision is one of the base model's repository; another repository has other revisions.
    private ModelSource BuildTokenizer(ModelSource baseModel)
    {
        var name = root.Has("tokenizer_config") ? ExistingPath(root, "tokenizer_config") : baseModel.Name;
        return name == baseModel.Name ? baseModel : new ModelSource(name);
    }

    private QuantizationOptions BuildQuantization()
    {
        if (!root.Flag("load_in_4bit"))
        {
            return new QuantizationOptions(WeightStorage.Dense, DoubleQuantization: false);
        }

        var kwargs = root.Child("bnb_config_kwargs");
        var storage = kwargs.Text("bnb_4bit_quant_type") == "fp4" ? WeightStorage.Fp4 : WeightStorage.Nf4;
        var twice = kwargs.Flag("bnb_4bit_use_double_quant");
        Effects["load_in_4bit"] = $"{(storage == WeightStorage.Nf4 ? "NF4" : "FP4")}, "
            + (twice ? "with" : "without") + " double quantisation; computed in bf16 on a GPU, in fp32 on the CPU";
        return new QuantizationOptions(storage, twice);
    }

    private LoraOptions? BuildLora()
    {
        if (!root.Has("adapter"))
        {
            return null;
        }

        Effects["adapter"] = root.Flag("load_in_4bit") ? "LoRA over 4-bit weights (QLoRA)" : "LoRA over full weights";
        var targets = new List<string>();
        var listed = root.List("lora_target_modules");
        var linear = root.Flag("lora_target_linear");
        foreach (var name in listed)
        {
            AddTargets(name == "all-linear" ? KnownNames.Projections : [name]);
        }

        if (linear)
        {
            AddTargets(KnownNames.Projections);
            Effects["lora_target_linear"] = $"targets {string.Join(", ", targets)}";
        }

        if (targets.Count == 0)
        {
            AddTargets(DefaultTargets);
        }

        Effects["lora_target_modules"] = $"targets {string.Join(", ", targets)}";
        return new LoraOptions
        {
            Rank = root.OptionalInteger("lora_r") ?? 1,
            Alpha = root.Number("lora_alpha"),
            Dropout = root.Number("lora_dropout"),
            TargetModules = targets,
            RankStabilized = root.Flag("peft_use_rslora"),
            InitialAdapter = root.Has("lora_model_dir") ? ExistingPath(root, "lora_model_dir") : null,
            LoraPlusRatio = root.OptionalNumber("loraplus_lr_ratio"),
        };

        void AddTargets(IReadOnlyList<string> names) => targets.AddRange(names.Where(name => !targets.Contains(name)));
    }

    private SequenceOptions BuildSequence()
    {
        var packing = root.Flag("sample_packing");
        return new SequenceOptions(
            root.Integer("sequence_len"),
            root.Integer("min_sample_len"),
            root.Text("excess_length_strategy") switch
            {
                "truncate" => ExcessLength.Truncate,
                "raise" => ExcessLength.Raise,
                _ => ExcessLength.Drop,
            },
            packing,
            root.OptionalFlag("eval_sample_packing") ?? packing,
            root.OptionalFlag("pad_to_sequence_len") ?? packing,
            root.Child("nibble").Number("max_dropped_share"));
    }

    private BatchOptions BuildBatch()
    {
        var micro = root.Integer("micro_batch_size");
        var accumulation = root.Integer("gradient_accumulation_steps");
        if (root.Has("batch_size"))
        {
            var batch = root.Integer("batch_size");
            if (batch % micro != 0)
            {
                Error("batch_size", $"must be a multiple of micro_batch_size, which is {micro}.");
            }

            accumulation = Math.Max(1, batch / micro);
            Effects["batch_size"] = $"gradient_accumulation_steps = {accumulation}";
            Derived["gradient_accumulation_steps"] = "batch_size";
        }

        var steps = root.OptionalInteger("max_steps");
        if (steps == 0)
        {
            Error("max_steps", "a run of no steps trains nothing; leave the key out, or use 'nibble plan'.");
        }

        if (steps < 0)
        {
            Effects["max_steps"] = "no limit; num_epochs decides";
        }

        return new BatchOptions(
            micro,
            accumulation,
            root.OptionalInteger("eval_batch_size") ?? micro,
            root.Number("num_epochs"),
            steps > 0 ? steps : null,
            root.Text("loss_normalization") == "sequence" ? LossNormalization.Sequence : LossNormalization.Token);
    }

    private OptimizerOptions BuildOptimizer()
    {
        Required("learning_rate");
        var name = root.Text("optimizer");
        var (kind, paged) = KnownNames.Optimizers[name];
        var states = kind == OptimizerKind.AdamW ? "fp32" : "8-bit block-wise";
        Effects["optimizer"] = $"AdamW with {states} states"
            + (paged ? "; state memory is planned, nothing pages" : "");
        return new OptimizerOptions(
            kind,
            root.Number("learning_rate"),
            root.Number("weight_decay"),
            root.Number("adam_beta1"),
            root.Number("adam_beta2"),
            root.Number("adam_epsilon"),
            root.Number("max_grad_norm"));
    }

    private ScheduleOptions BuildSchedule()
    {
        var kind = root.Text("lr_scheduler") switch
        {
            "linear" => ScheduleKind.Linear,
            "constant" => ScheduleKind.Constant,
            "constant_with_warmup" => ScheduleKind.ConstantWithWarmup,
            _ => ScheduleKind.Cosine,
        };
        return new ScheduleOptions(
            kind,
            root.OptionalInteger("warmup_steps"),
            root.OptionalNumber("warmup_ratio"),
            root.OptionalNumber("cosine_min_lr_ratio"),
            root.OptionalNumber("cosine_constant_lr_ratio"));
    }

    private LoggingOptions BuildLogging()
    {
        WandbOptions? wandb = null;
        if (root.Has("wandb_project"))
        {
            wandb = new WandbOptions(
                root.Text("wandb_project"),
                root.OptionalText("wandb_name"),
                root.OptionalText("wandb_run_id"),
                root.OptionalText("wandb_entity"),
                root.OptionalText("wandb_mode"),
                root.Text("wandb_log_model"));
        }
        else
        {
            foreach (var key in root.Keys.Where(
                key => key.Usable && key.Spec.Name.StartsWith("wandb_", StringComparison.Ordinal)))
            {
                Warn(key, "has no effect without wandb_project, which switches W&B on.");
            }
        }

        return new LoggingOptions
        {
            Steps = root.OptionalInteger("logging_steps"),
            Wandb = wandb,
            TensorBoard = root.Flag("use_tensorboard"),
            LossWatchdogThreshold = root.OptionalNumber("loss_watchdog_threshold"),
            LossWatchdogPatience = root.Integer("loss_watchdog_patience"),
        };
    }

    private RecomputeMode BuildRecompute()
    {
        var checkpointing = root.Text("gradient_checkpointing") != "false";
        var mode = root.Child("nibble").OptionalText("recompute") switch
        {
            "never" => RecomputeMode.Never,
            "allowed" => RecomputeMode.Allowed,
            "always" => RecomputeMode.Always,
            _ => checkpointing ? RecomputeMode.Allowed : RecomputeMode.Never,
        };
        Effects["gradient_checkpointing"] = mode switch
        {
            RecomputeMode.Never => "every activation is kept",
            RecomputeMode.Allowed => "layers are recomputed where the memory budget needs it",
            _ => "every layer is recomputed",
        };
        return mode;
    }

    private string BuildDevice()
    {
        var nibble = root.Child("nibble");
        var device = nibble.Text("device");
        var index = device.StartsWith("cuda:", StringComparison.Ordinal) ? device.AsSpan(5) : [];
        if (device is not ("auto" or "cpu" or "cuda")
            && (index.Length is 0 or > 3 || index.ContainsAnyExceptInRange('0', '9')))
        {
            var key = nibble.Find("device")!;
            checker.Errors.Add(checker.Finding(key.Node.Origin, key.Path, "there is no such device.") with
            {
                Found = key.Node.Describe(),
                Allowed = ["auto", "cpu", "cuda", "cuda:N"],
                Nearest = device is "gpu" ? "cuda" : NearestName.Find(device, ["auto", "cpu", "cuda"]),
            });
        }

        return device;
    }

    private bool Required(string name)
    {
        var key = root.Find(name);
        if (key is null || key.Node is SequenceNode { Items.Count: 0 })
        {
            checker.Errors.Add(checker.Finding(key?.At ?? new Origin(0, 0, null), name, "the key is required.") with
            {
                Expected = KeyTable.Root.Find(name)!.Expectation,
                Found = key is null ? null : key.Node.Describe(),
            });
        }

        return key is { Usable: true };
    }

    // As given when it exists from the working directory; else beside the config file; else as given, which for a model
    // is a name on the Hub and for anything else an error of the room that opens it.
    private string ExistingPath(ConfigSection section, string name)
    {
        var path = section.Text(name);
        if (Path.IsPathRooted(path) || Exists(path) || section.Find(name)?.At.Flag is not null)
        {
            return path;
        }

        var folder = Path.GetDirectoryName(file);
        var beside = string.IsNullOrEmpty(folder) ? path : Path.Combine(folder, path);
        if (!Exists(beside))
        {
            return path;
        }

        Effects[section.PathOf(name)] = beside;
        return beside;

        static bool Exists(string candidate) => File.Exists(candidate) || Directory.Exists(candidate);
    }

    private void Error(string name, string problem) => Error(root.Find(name)!, problem);

    private void Error(GivenKey key, string problem) => checker.Errors.Add(checker.Finding(key.At, key.Path, problem));

    private void Warn(GivenKey key, string problem) => checker.Warnings.Add(checker.Finding(key.At, key.Path, problem));
}
