using System.Text.Json;
using CsCheck;
using Nibble.Config;

namespace Nibble.Tests.Config;

public sealed class ConfigPrinterTests
{
    // What YAML readers like to take for something else.
    private static readonly Gen<string> AnyText = Gen.OneOf(
        Pick<string>(
            "true", "No", "5", "1e-4", "null", "~", "a: b", "# x", " lead", "trail ", "'q'", "\"d\"", "\\", "tab\there",
            "line\nbreak", "cr\r\nlf", "ü", "日本", "😀", "-", "- x", "[a]", "{a}", "*a", "&a", "!t",
            "%d", "@x", "`", "?",
            "a,b", "\u2028", "\u0085", "\u00a0", "\ufeff", "\u0007", "C:\\data\\x", "010", "y", "=", "<<"),
        Gen.String[Gen.Char[' ', '~'], 1, 12]);

    private static readonly Gen<string?> MaybeText =
        Gen.OneOf(Pick<string?>([null]), AnyText.Select(text => (string?)text));

    private static readonly Gen<double> Positive = Gen.Double[1e-12, 1e12];

    private static readonly Gen<double> BelowOne = Gen.Double[0, 0.999];

    [Fact]
    public void Printed_AnyRun_ParsesToAnEqualRun() => Runs().Sample(
        config =>
        {
            var text = ConfigPrinter.Print(config);
            var loaded = ConfigLoader.Parse(text, Configs.File);
            Assert.Equal(Json(config), Json(loaded.Config));
            Assert.Empty(loaded.Warnings);

            // The marks are comments: the resolved text says the same.
            Assert.Equal(Json(config), Json(ConfigLoader.Parse(loaded.ResolvedYaml, Configs.File).Config));
        },
        iter: 300);

    [Fact]
    public void Parsed_AnyText_GivesARunOrFindings() => Mutations().Sample(
        text =>
        {
            try
            {
                ConfigLoader.Parse(text, Configs.File);
            }
            catch (ConfigException e)
            {
                Assert.NotEmpty(e.Findings);
            }
        },
        iter: 1500);

    [Fact]
    public void Printed_ForAReader_ShowsValuesMarksAndWhatIsNotSet()
    {
        var text = ConfigLoader.Parse(Configs.Lora, Configs.File).ResolvedYaml;

        Assert.Matches("(?m)^base_model: model +# line 1$", text);
        Assert.Matches("(?m)^  - path: train.jsonl +# line 3$", text);
        Assert.Matches("(?m)^  device: auto +# default$", text);
        Assert.Contains("# gpu_memory_limit: not set (what is free, less a reserve)\n", text, StringComparison.Ordinal);
        Assert.Contains("# warmup_steps: not set (3 % of the run, at most 100)\n", text, StringComparison.Ordinal);
        Assert.All(text.Split('\n'), line => Assert.Equal(line.TrimEnd(), line));
    }

    private static string Json(RunConfig config) => JsonSerializer.Serialize(config with
    {
        Data = config.Data with
        {
            Train = [.. config.Data.Train.Select(set => set with { ConfigLine = 0 })],
            Test = [.. config.Data.Test.Select(set => set with { ConfigLine = 0 })],
        },
    });

    private static Gen<string> Mutations() =>
        from place in Gen.Int[0, Configs.Lora.Length]
        from cut in Gen.Int[0, 6]
        from insert in Gen.OneOf(
            AnyText,
            Pick<string>("\t", "[", "}", "\"", "'", "|\n", ">\n", ": ", "\n- ", "\n  ", "\0", "*x", "&x ", "? "))
        select string.Concat(
            Configs.Lora.AsSpan(0, place), insert, Configs.Lora.AsSpan(Math.Min(Configs.Lora.Length, place + cut)));

    private static Gen<T> Pick<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static Gen<RunConfig> Runs() =>
        from texts in Gen.Select(AnyText, AnyText, AnyText)
        from seed in Gen.Int[0, int.MaxValue]
        from quantised in Gen.Bool
        from storage in Pick(WeightStorage.Nf4, WeightStorage.Fp4)
        from twice in Gen.Bool
        from lora in Loras()
        from adapted in Gen.Bool
        from data in Datas()
        from sequence in Sequences()
        from batch in Batches()
        from optimizer in Optimizers()
        from schedule in Schedules()
        from evaluation in Evaluations()
        from save in Saves()
        from logging in Loggings()
        from engine in Engines()
        from revision in MaybeText
        let hasEvaluation = data.Test.Count > 0 || data.ValidationSize > 0
        select new RunConfig
        {
            BaseModel = new ModelSource(texts.Item1, revision),
            Tokenizer = texts.Item2 == texts.Item1
                ? new ModelSource(texts.Item1, revision) : new ModelSource(texts.Item2),
            OutputDir = texts.Item3,
            Seed = seed,
            Quantization = quantised && adapted
                ? new QuantizationOptions(storage, twice) : new QuantizationOptions(WeightStorage.Dense, false),
            Lora = adapted ? lora : null,
            Data = data,
            Sequence = sequence,
            Batch = batch,
            Optimizer = optimizer,
            Schedule = schedule,
            Evaluation = hasEvaluation ? evaluation : evaluation with
            {
                Every = new Interval(IntervalKind.Never, 0),
                EarlyStoppingPatience = null,
                GenerateSamples = false,
            },
            Save = save,
            Logging = logging,
            Engine = engine,
        };

    private static Gen<LoraOptions> Loras() =>
        from rank in Gen.Int[1, 512]
        from alpha in Positive
        from dropout in BelowOne
        from targets in Gen.Shuffle(KnownNames.Projections.ToArray()).Select(Gen.Int[1, 7], (all, n) => all[..n])
        from stabilized in Gen.Bool
        from initial in MaybeText
        from ratio in Positive.Nullable()
        select new LoraOptions
        {
            Rank = rank,
            Alpha = alpha,
            Dropout = dropout,
            TargetModules = targets,
            RankStabilized = stabilized,
            InitialAdapter = initial,
            LoraPlusRatio = ratio,
        };

    private static Gen<DatasetOptions> Datasets() =>
        from path in AnyText
        from type in Pick<string?>("completion", "alpaca", "chat_template", "input_output", null)
        from format in Pick<string?>("json", "csv", null)
        from files in AnyText.List[0, 3]
        from split in MaybeText
        from field in AnyText
        from messages in Gen.Select(AnyText, AnyText, AnyText)
        from roles in Gen.Dictionary(AnyText, AnyText.List[1, 3])[0, 3]
        from train in AnyText.List[1, 3]
        from eos in Pick<string>("all", "turn", "last", "none")
        from detail in MaybeText
        from template in MaybeText
        from subset in MaybeText
        from revision in MaybeText
        let chat = type == "chat_template"
        select new DatasetOptions
        {
            Path = path,
            Subset = subset,
            Revision = revision,
            Type = type,
            FileFormat = format,
            DataFiles = files,
            Split = split,
            Field = type == "completion" ? field : "text",
            FieldMessages = chat ? messages.Item1 : "messages",
            MessageProperties = new Dictionary<string, string>
            {
                ["role"] = chat ? messages.Item2 : "role",
                ["content"] = chat ? messages.Item3 : "content",
            },
            Roles = chat
                ? roles.ToDictionary(role => role.Key, role => (IReadOnlyList<string>)role.Value)
                : new Dictionary<string, IReadOnlyList<string>>(),
            RolesToTrain = chat ? train : ["assistant"],
            TrainOnEos = chat ? eos : "turn",
            MessageFieldTraining = chat ? detail : null,
            ChatTemplate = chat ? template : null,
            ConfigLine = 0,
        };

    private static Gen<DataOptions> Datas() =>
        from train in Datasets().List[1, 3]
        from test in Datasets().List[0, 2]
        from size in Gen.OneOf(Gen.Const(0.0), BelowOne, Gen.Int[2, 100000].Select(count => (double)count))
        from template in Pick<string?>("chatml", "tokenizer_default", null)
        from jinja in MaybeText
        from eot in AnyText.List[0, 3]
        from system in MaybeText
        from flags in Gen.Select(Gen.Bool, Gen.Bool, Gen.Bool)
        from pad in MaybeText
        select new DataOptions
        {
            Train = train,
            Test = test,
            ValidationSize = test.Count > 0 ? 0 : size,
            ChatTemplate = template,
            ChatTemplateJinja = jinja,
            EotTokens = eot,
            DefaultSystemMessage = system,
            TrainOnInputs = flags.Item1,
            Shuffle = flags.Item2,
            ExactDeduplication = flags.Item3,
            SpecialTokens = pad is null ? [] : new Dictionary<string, string> { ["pad_token"] = pad },
        };

    private static Gen<SequenceOptions> Sequences() =>
        from length in Gen.Int[2, 1 << 20]
        from minimum in Gen.Int[1, 2]
        from excess in Gen.Enum<ExcessLength>()
        from flags in Gen.Select(Gen.Bool, Gen.Bool, Gen.Bool)
        from dropped in BelowOne
        select new SequenceOptions(length, minimum, excess, flags.Item1, flags.Item2, flags.Item3, dropped);

    private static Gen<BatchOptions> Batches() =>
        from sizes in Gen.Select(Gen.Int[1, 4096], Gen.Int[1, 4096], Gen.Int[1, 4096])
        from epochs in Positive
        from steps in Gen.Int[1, int.MaxValue].Nullable()
        from normalization in Gen.Enum<LossNormalization>()
        select new BatchOptions(sizes.Item1, sizes.Item2, sizes.Item3, epochs, steps, normalization);

    private static Gen<OptimizerOptions> Optimizers() =>
        from kind in Gen.Enum<OptimizerKind>()
        from rate in Positive
        from decay in BelowOne
        from betas in Gen.Select(BelowOne, BelowOne)
        from epsilon in Positive
        from norm in BelowOne
        select new OptimizerOptions(kind, rate, decay, betas.Item1, betas.Item2, epsilon, norm);

    private static Gen<ScheduleOptions> Schedules() =>
        from kind in Pick(ScheduleKind.Cosine, ScheduleKind.Linear, ScheduleKind.ConstantWithWarmup)
        from steps in Gen.Int[0, 100000].Nullable()
        from ratio in BelowOne.Nullable()
        from floor in BelowOne.Nullable()
        from hold in Gen.Double[0.001, 1].Nullable()
        let cosine = kind == ScheduleKind.Cosine
        select new ScheduleOptions(
            kind,
            steps,
            steps is null ? ratio : null,
            cosine ? floor : null,
            cosine && floor is not null ? hold : null);

    private static Gen<Interval> Intervals() => Gen.OneOf(
        Pick(new Interval(IntervalKind.Never, 0), new Interval(IntervalKind.Epoch, 0)),
        Gen.Int[1, 100000].Select(steps => new Interval(IntervalKind.Steps, steps)),
        Gen.Double[1e-9, 0.999].Select(share => new Interval(IntervalKind.Fraction, share)));

    private static Gen<EvaluationOptions> Evaluations() =>
        from every in Intervals()
        from patience in Gen.Int[1, 100].Nullable()
        from samples in Gen.Bool
        from counts in Gen.Select(Gen.Int[1, 100], Gen.Int[1, 4096])
        from temperature in BelowOne
        select new EvaluationOptions(
            every,
            "loss",
            every.Kind == IntervalKind.Never ? null : patience,
            false,
            samples,
            counts.Item1,
            counts.Item2,
            temperature);

    private static Gen<SaveOptions> Saves() =>
        from every in Intervals()
        from limit in Gen.Int[1, 100].Nullable()
        from flags in Gen.Select(Gen.Bool, Gen.Bool, Gen.Bool)
        from resume in MaybeText
        select new SaveOptions(
            every, limit, flags.Item1, flags.Item2, flags.Item3 ? null : resume, flags.Item3);

    private static Gen<LoggingOptions> Loggings() =>
        from steps in Gen.Int[1, 1000].Nullable()
        from texts in Gen.Select(AnyText, MaybeText, MaybeText, MaybeText)
        from mode in Pick<string?>("online", "offline", "disabled", null)
        from model in Pick<string>("false", "checkpoint", "end")
        from flags in Gen.Select(Gen.Bool, Gen.Bool)
        from threshold in Positive.Nullable()
        from patience in Gen.Int[1, 100]
        select new LoggingOptions
        {
            Steps = steps,
            Wandb = flags.Item1
                ? new WandbOptions(texts.Item1, texts.Item2, texts.Item3, texts.Item4, mode, model) : null,
            TensorBoard = flags.Item2,
            LossWatchdogThreshold = threshold,
            LossWatchdogPatience = patience,
        };

    private static Gen<EngineOptions> Engines() =>
        from device in Pick<string>("auto", "cpu", "cuda", "cuda:3")
        from threads in Gen.Int[1, 4096].Nullable()
        from recompute in Gen.Enum<RecomputeMode>()
        from bytes in Gen.Long[1, 1L << 50].Nullable()
        select new EngineOptions(device, threads, recompute, bytes);
}
