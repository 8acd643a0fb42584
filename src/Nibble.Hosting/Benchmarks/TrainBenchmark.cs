using System.Globalization;
using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Data;
using Nibble.Data.Packing;
using Nibble.Models;
using Nibble.Models.Full;
using Nibble.Planning;
using Nibble.Tensors;
using Nibble.Training;

namespace Nibble.Hosting.Benchmarks;

/// <summary>What a training benchmark runs.</summary>
public sealed record TrainBenchmarkOptions
{
    /// <summary>A name of <see cref="ModelShapes"/>.</summary>
    public required string Shape { get; init; }

    /// <summary>Tokens of every row of a step; one entry a row.</summary>
    public required IReadOnlyList<int> Rows { get; init; }

    /// <summary>Train every weight; rank, modules, dropout and 4 bits then have no meaning.</summary>
    public bool EveryWeight { get; init; }

    /// <summary>Rank.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Adapted modules.</summary>
    public IReadOnlyList<string> Targets { get; init; } = ["q_proj", "k_proj", "v_proj", "o_proj"];

    /// <summary>Dropout on adapter inputs.</summary>
    public double Dropout { get; init; }

    /// <summary>8-bit AdamW.</summary>
    public bool EightBitOptimizer { get; init; } = true;

    /// <summary>Hold weights in 4 bits.</summary>
    public bool FourBit { get; init; } = true;

    /// <summary>Whether and which layers are recomputed.</summary>
    public RecomputeMode Recompute { get; init; } = RecomputeMode.Allowed;

    /// <summary>Device and budget.</summary>
    public required EngineOptions Engine { get; init; }

    /// <summary>Steps before the clock starts.</summary>
    public int WarmupSteps { get; init; } = 5;

    /// <summary>Steps timed.</summary>
    public int Steps { get; init; } = 20;

    /// <summary>Also time every op of some steps.</summary>
    public bool Profile { get; init; }
}

/// <summary>One op of a profile.</summary>
/// <param name="Op">Its name.</param>
/// <param name="Seconds">Device seconds a step.</param>
/// <param name="Calls">Calls a step.</param>
public sealed record ProfileRow(string Op, double Seconds, int Calls);

/// <summary>What a training benchmark measured.</summary>
public sealed record TrainBenchmarkResult
{
    /// <summary>Options in one line.</summary>
    public required string Name { get; init; }

    /// <summary>Device.</summary>
    public required string Device { get; init; }

    /// <summary>Plan in one line.</summary>
    public required string Plan { get; init; }

    /// <summary>Median seconds of a step over three equal parts of the run.</summary>
    public required double SecondsPerStep { get; init; }

    /// <summary>Tokens of a step; padding does not exist.</summary>
    public required int TokensPerStep { get; init; }

    /// <summary>Useful matrix FLOP a step: forward and backward products, nothing
    /// recomputed, causal attention.</summary>
    public required double MatrixFlops { get; init; }

    /// <summary>FLOP/s that a large square product holds for half a second after the steps, the card as hot as they
    /// left it: under its power limit a card is slower than in its first moments.</summary>
    public required double PeakRate { get; init; }

    /// <summary>Share of the step in which the device was busy, from the profile; null without one.</summary>
    public required double? BusyShare { get; init; }

    /// <summary>Bytes the process held on the device at the end; null where that cannot be asked.</summary>
    public required long? ProcessBytes { get; init; }

    /// <summary>The ledger's total.</summary>
    public long LedgerBytes => Ledger.Sum(i => i.Bytes);

    /// <summary>Device bytes as planned, item by item.</summary>
    public required IReadOnlyList<LedgerItem> Ledger { get; init; }

    /// <summary>Loss of the last steps, to see that it trains.</summary>
    public required double LastLoss { get; init; }

    /// <summary>Ops, longest first; empty without a profile.</summary>
    public required IReadOnlyList<ProfileRow> Profile { get; init; }

    /// <summary>Useful matrix rate over the peak of the same run.</summary>
    public double MatrixShare => MatrixFlops / SecondsPerStep / PeakRate;
}

/// <summary>Times the real trainer on synthetic weights and rows.</summary>
public static class TrainBenchmark
{
    // A card that starts cold needs half a second to reach its power limit.
    private static readonly TimeSpan PeakWarmup = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan PeakTime = TimeSpan.FromSeconds(0.5);

    /// <summary>Runs one benchmark.</summary>
    /// <param name="options">What to run.</param>
    /// <param name="stage">Told what is happening.</param>
    public static TrainBenchmarkResult Run(TrainBenchmarkOptions options, Action<string> stage)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(stage);
        var model = ModelShapes.Get(options.Shape);
        var config = Config(options);
        var data = Data(options, model);
        var order = TrainingOrder.Create(data.Train, config.Batch, config.Sequence, config.Seed);
        var workload = Workload.Measure(data, order, []);
        using var device = BackendChoice.Open(options.Engine);
        var activation = device.Backend.ActivationType;
        FourBitCode? code = options.FourBit ? FourBitCode.Nf4 : null;
        var format = options.EveryWeight
            ? FullParameters.Format(activation)
            : new WeightFormat(code, options.FourBit, DType.BF16, DType.BF16, activation);
        var plan = new MemoryPlanner(
            model, format, config.Lora, options.EightBitOptimizer, options.Recompute, device.Traits).Choose(workload);
        stage($"{options.Shape} on {device.Backend.Name}: {Describe(plan)}");
        using var session = new ModelSession(device.Backend, new SessionLayout
        {
            Model = model,
            Format = format,
            Lora = config.Lora,
            Optimizer = config.Optimizer.Kind,
            Positions = workload.LongestSample,
            PassBytes = plan.PassBytes + (config.Batch.MaxSteps!.Value * 16L) + (16 * Arena.Alignment),
            PassHostBytes = plan.PassHostBytes,
            ResidentLayers = plan.ResidentLayers,
            TableOnHost = plan.TableOnHost && !model.TiedHead,
        });
        session.Full?.Clear(device.Backend);
        SyntheticWeights.Fill(session, 1);
        session.MakeResident();
        session.Lora?.Clear(device.Backend);
        session.Lora?.Initialize(device.Backend, config.Seed);
        foreach (var (_, view) in session.Optimizer!.Tensors)
        {
            device.Backend.Zero(view);
        }

        var timer = new StepTimer(device.Backend, options.WarmupSteps, options.Steps);
        var end = Train(device.Backend, session, session.Decoder, config, data, order, plan, timer);
        var processBytes = device.ProcessMemoryBytes();
        var seconds = timer.SecondsPerStep();
        var profile = options.Profile ? Profile(device.Backend, session, config, data, order, plan, stage) : [];
        return new TrainBenchmarkResult
        {
            Name = $"{options.Shape}, rows {RowsText(options.Rows)}, "
                + (options.EveryWeight ? "every weight" : $"r={options.Rank} on {options.Targets.Count} modules"),
            Device = device.Backend.Name,
            Plan = Describe(plan),
            SecondsPerStep = seconds,
            TokensPerStep = options.Rows.Sum(),
            MatrixFlops = Flops(model, options.Rows, options.EveryWeight),
            PeakRate = PeakRate(device.Backend),
            BusyShare = options.Profile ? Math.Min(1, profile.Sum(p => p.Seconds) / seconds) : null,
            ProcessBytes = processBytes,
            Ledger = plan.Ledger,
            LastLoss = end.Progress.Logs is [.., var last] ? last.Loss : double.NaN,
            Profile = profile,
        };
    }

    /// <summary>Useful matrix FLOP of a step: every product once forward, once for its input gradient
    /// and, where the weights are trained, once for theirs, the head included, causal attention 2 + 5
    /// products over half the pairs.</summary>
    /// <param name="model">Architecture.</param>
    /// <param name="rows">Tokens of every row.</param>
    /// <param name="everyWeight">Whether base weights are trained.</param>
    public static double Flops(ModelConfig model, IReadOnlyList<int> rows, bool everyWeight = false)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(rows);
        double tokens = rows.Sum();
        var layer = (double)model.HiddenSize * (model.QkvWidth + model.QueryWidth + (3.0 * model.IntermediateSize));
        var attention = rows.Sum(t => (double)t * t / 2) * model.QueryWidth * 2 * 7;
        var products = (layer * model.Layers) + ((double)model.HiddenSize * model.VocabularySize);
        return ((everyWeight ? 6 : 4) * tokens * products) + (attention * model.Layers);
    }

    private static TrainingEnd Train(
        IBackend backend, ModelSession session, Models.Decoder.DecoderModel decoder,
        RunConfig config, TokenizedData data, TrainingOrder order, MemoryPlan plan, ITrainingObserver observer)
    {
        var parts = new TrainerParts
        {
            Backend = backend,
            Model = decoder,
            Optimizer = session.Optimizer!,
            Arena = session.Arena,
            Plan = plan,
            Config = config,
            Data = data,
            Order = order,
            Timeline = new RunTimeline(config, order, hasEvaluationData: false),
            Time = TimeProvider.System,
        };
        var mark = session.Arena.Used;
        var end = new Trainer(parts, TrainingProgress.Start, [observer]).Run(CancellationToken.None);
        session.Arena.Release(mark);
        return end;
    }

    private static List<ProfileRow> Profile(
        IBackend backend, ModelSession session, RunConfig config, TokenizedData data,
        TrainingOrder order, MemoryPlan plan, Action<string> stage)
    {
        stage("profiling");
        var mark = session.Arena.Used;
        var measured = new MeasuredBackend(backend, session.Arena.Allocate(DType.F32, 1, 1));
        var decoder = session.OnBackend(measured);
        const int Steps = 3;
        var profiled = config with { Batch = config.Batch with { MaxSteps = Steps } };
        var shortOrder = TrainingOrder.Create(data.Train, profiled.Batch, profiled.Sequence, profiled.Seed);
        Train(measured, session, decoder, profiled, data, shortOrder, plan, new Silent());
        session.Arena.Release(mark);
        return [.. measured.Times.Select(t => new ProfileRow(t.Op, t.Time.TotalSeconds / Steps, t.Calls / Steps))];
    }

    private static double PeakRate(IBackend backend)
    {
        var n = backend.ActivationType == DType.BF16 ? 8192 : 1024;
        using var memory = backend.Allocate(3L * n * n * backend.ActivationType.Size() + (4 * Arena.Alignment));
        var arena = new Arena(memory);
        var a = arena.Allocate(backend.ActivationType, n, n);
        var b = arena.Allocate(backend.ActivationType, n, n);
        var c = arena.Allocate(backend.ActivationType, n, n);
        var noise = new ushort[2 * n];
        for (var i = 0; i < noise.Length; i++)
        {
            noise[i] = Bf16.FromSingle(Philox.Uniform(Philox.Words(3, (ulong)i, 0).X) - 0.5f);
        }

        // Every row starts elsewhere: equal rows would flatter the rate.
        foreach (var view in new[] { a, b })
        {
            for (var row = 0; row < n; row++)
            {
                var values = noise.AsSpan((row * 389) % n, n);
                backend.Upload(
                    view.DType == DType.BF16
                        ? MemoryMarshal.AsBytes(values)
                        : MemoryMarshal.AsBytes(Array.ConvertAll(values.ToArray(), Bf16.ToSingle).AsSpan()),
                    view.RowRange(row, 1));
            }
        }

        TimeSpan Run(TimeSpan least, out int count)
        {
            backend.Synchronize();
            var started = TimeProvider.System.GetTimestamp();
            for (count = 0; TimeProvider.System.GetElapsedTime(started) < least; count += 4)
            {
                for (var k = 0; k < 4; k++)
                {
                    backend.MatMul(a, false, b, true, c);
                }

                backend.Synchronize();
            }

            return TimeProvider.System.GetElapsedTime(started);
        }

        _ = Run(PeakWarmup, out _);
        var elapsed = Run(PeakTime, out var products);
        return 2.0 * n * n * n * products / elapsed.TotalSeconds;
    }

    private static TokenizedData Data(TrainBenchmarkOptions options, ModelConfig model)
    {
        var samples = options.Rows.Select((length, row) =>
        {
            var ids = new int[length];
            for (var i = 0; i < length; i++)
            {
                ids[i] = (int)(Philox.Words(5, (ulong)i, (ulong)row).X % (uint)model.VocabularySize);
            }

            return new Sample(ids, [.. ids], $"synthetic:{row + 1}");
        }).ToArray();
        var summary = new DataSummary
        {
            RowsRead = samples.Length,
            SamplesMade = samples.Length,
            SamplesKept = samples.Length,
            Empty = 0,
            TooShort = 0,
            TooLong = 0,
            Truncated = 0,
            Duplicates = 0,
            ShortestLength = options.Rows.Min(),
            LongestLength = options.Rows.Max(),
            Tokens = options.Rows.Sum(),
            TrainedTokens = samples.Sum(s => s.TrainedTokens),
        };
        return new TokenizedData(
            samples, [], new DataReport { Train = summary, Eval = null, UnusedFields = [], Warnings = [] });
    }

    private static RunConfig Config(TrainBenchmarkOptions options)
    {
        var steps = options.WarmupSteps + options.Steps;
        var yaml = string.Create(CultureInfo.InvariantCulture, $"""
            base_model: synthetic
            datasets:
              - path: synthetic.jsonl
            sequence_len: {options.Rows.Max()}
            micro_batch_size: 1
            gradient_accumulation_steps: {options.Rows.Count}
            max_steps: {steps}
            learning_rate: 0.0002
            lr_scheduler: constant
            optimizer: {(options.EightBitOptimizer ? "adamw_8bit" : "adamw_torch")}
            logging_steps: {steps}
            save_strategy: "no"

            """);
        yaml += options.EveryWeight ? "" : string.Create(CultureInfo.InvariantCulture, $"""
            adapter: {(options.FourBit ? "qlora" : "lora")}
            load_in_4bit: {(options.FourBit ? "true" : "false")}
            lora_r: {options.Rank}
            lora_alpha: {2 * options.Rank}
            lora_dropout: {options.Dropout}
            lora_target_modules: [{string.Join(", ", options.Targets)}]
            """);
        return ConfigLoader.Parse(yaml, "benchmark").Config with { Engine = options.Engine };
    }

    private static string Describe(MemoryPlan plan) =>
        $"passes of {plan.PassTokens} tokens, {plan.RecomputedLayers} layers recomputed"
        + (plan.OffloadsInputs ? " from inputs on the host, " : ", ")
        + $"{plan.ResidentLayers} resident, "
        + $"logits {plan.LogitsChunk}{(plan.TableOnHost ? ", embedding table on the host" : "")}";

    private static string RowsText(IReadOnlyList<int> rows) =>
        rows.Distinct().Count() == 1 ? $"{rows.Count} x {rows[0]}" : string.Join("+", rows);

    private sealed class Silent : ITrainingObserver;

    // The clock is read with the device drained, at the end of the warm-up and of each third.
    private sealed class StepTimer(IBackend backend, int warmup, int steps) : ITrainingObserver
    {
        private readonly List<(int Step, long Time)> _marks = [];

        public void OnStep(StepDone step)
        {
            var done = step.StepsDone - warmup;
            if (done == 0 || done == steps || (done > 0 && done % Math.Max(1, steps / 3) == 0))
            {
                backend.Synchronize();
                _marks.Add((step.StepsDone, TimeProvider.System.GetTimestamp()));
            }
        }

        public double SecondsPerStep()
        {
            var parts = new List<double>();
            for (var i = 1; i < _marks.Count; i++)
            {
                parts.Add(TimeProvider.System.GetElapsedTime(_marks[i - 1].Time, _marks[i].Time).TotalSeconds
                    / (_marks[i].Step - _marks[i - 1].Step));
            }

            parts.Sort();
            return parts[parts.Count / 2];
        }
    }
}
