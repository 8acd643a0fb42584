using Nibble.Config;
using Nibble.Models;
using Nibble.Models.Decoder;
using Nibble.Models.Full;
using Nibble.Models.Lora;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Planning;

/// <summary>What the planner knows about a device.</summary>
/// <param name="ActivationType">Type of activations.</param>
/// <param name="BudgetBytes">Most bytes the process may use on the device.</param>
/// <param name="FixedBytes">Bytes the process uses before the first tensor (context,
/// kernels, library workspace).</param>
/// <param name="DequantizesToScratch">Whether products with 4-bit weights go through scratch, so
/// that residency saves time.</param>
/// <param name="MatMulRate">Matrix FLOP/s at full tiles, or null when unknown.</param>
/// <param name="Bandwidth">Bytes/s of device memory, or null when unknown.</param>
/// <param name="PreferredPassTokens">Tokens beyond which a larger pass is no faster.</param>
/// <param name="FusedTokens">Tokens of a pass up to which 4-bit weights are multiplied without going through
/// scratch.</param>
public sealed record DeviceTraits(
    DType ActivationType, long BudgetBytes, long FixedBytes, bool DequantizesToScratch,
    double? MatMulRate, double? Bandwidth, int PreferredPassTokens, int FusedTokens);

/// <summary>
/// Chooses how a run uses its device: tokens of a pass, layers recomputed, layers kept dequantised. Sizes come from the
/// allocation code itself, run on a counting arena; of the plans that fit, the one predicted fastest is taken.
/// </summary>
public sealed class MemoryPlanner
{
    // What copies to and from pinned host memory reach at least; twice that is usual.
    private const double BusBytesPerSecond = 2e10;

    // What products with 4-bit weights take more than with resident ones, as a share of dequantising to scratch, for
    // the most tokens that are multiplied so; with fewer it falls to nothing. Measured on an H100: 244 us a layer with
    // 216 tokens, both directions, against 400.
    private const double FusedShare = 0.6;

    private static readonly int[] Chunks = [2048, 1024, 512, 256, 128, 64];
    private readonly ModelConfig _config;
    private readonly WeightFormat _format;
    private readonly LoraOptions? _lora;
    private readonly bool _eightBit;
    private readonly RecomputeMode _recompute;
    private readonly DeviceTraits _device;

    /// <summary>A planner for one model on one device.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="format">How weights are held.</param>
    /// <param name="lora">Adapter options; null trains every weight.</param>
    /// <param name="eightBitOptimizer">Whether optimizer states are 8-bit.</param>
    /// <param name="recompute">What the config permits.</param>
    /// <param name="device">The device.</param>
    public MemoryPlanner(
        ModelConfig config, WeightFormat format, LoraOptions? lora, bool eightBitOptimizer, RecomputeMode recompute,
        DeviceTraits device) =>
        (_config, _format, _lora, _eightBit, _recompute, _device) =
            (config, format, lora, eightBitOptimizer, recompute, device);

    /// <summary>The fastest plan that fits.</summary>
    /// <param name="work">The largest things the run will meet.</param>
    /// <exception cref="MemoryPlanException">Nothing fits.</exception>
    public MemoryPlan Choose(Workload work)
    {
        ArgumentNullException.ThrowIfNull(work);
        MemoryPlan? best = null;
        MemoryPlan? leanest = null;
        LoraAdapters? adapters = null;
        foreach (var tableOnHost in _device.DequantizesToScratch && _lora is not null ? (bool[])[false, true] : [false])
        {
            var weights = new Sizes(this, tableOnHost);
            adapters = weights.Lora;
            foreach (var passTokens in PassCandidates(work))
            {
                foreach (var chunk in Chunks)
                {
                    foreach (var recomputed in RecomputeCandidates())
                    {
                        foreach (var offloads in OffloadCandidates(recomputed))
                        {
                            var shape = new TrainingChoice(tableOnHost, passTokens, chunk, recomputed, offloads);
                            var plan = Plan(work, weights, shape);
                            leanest = leanest is null || plan.TotalBytes < leanest.TotalBytes ? plan : leanest;
                            if (plan.TotalBytes <= _device.BudgetBytes
                                && (best is null || plan.StepSeconds < best.StepSeconds * 0.999))
                            {
                                best = plan;
                            }
                        }
                    }
                }
            }
        }

        return best is null
            ? throw new MemoryPlanException(Explain(leanest!))
            : best with { EvalPassTokens = WidestEvaluation(work, best, adapters) };
    }

    // Without a backward pass the bytes that training takes hold more tokens: evaluation has them for nothing.
    private int WidestEvaluation(Workload work, MemoryPlan plan, LoraAdapters? adapters)
    {
        var most = (int)Math.Min(_device.PreferredPassTokens, work.EvalTokens);
        for (var tokens = most; tokens > plan.EvalPassTokens; tokens = tokens * 3 / 4)
        {
            if (Bytes(EvaluationShape(tokens, plan.LogitsChunk), adapters) <= plan.PassBytes)
            {
                return tokens;
            }
        }

        return plan.EvalPassTokens;
    }

    private MemoryPlan Plan(Workload work, Sizes sizes, in TrainingChoice choice)
    {
        var (tableOnHost, passTokens, chunk, recomputed, offloads) = choice;
        var evalTokens = work.LargestEvalBatch == 0
            ? 0
            : Math.Max(work.LargestEvalBatch, Math.Min(passTokens, _device.PreferredPassTokens));
        var shape = Shape(passTokens, work.LargestStepSamples, chunk, recomputed, true, offloads);
        var train = Bytes(shape, sizes.Lora);
        var eval = evalTokens == 0
            ? 0
            : Bytes(EvaluationShape(evalTokens, chunk), sizes.Lora);
        var pass = Math.Max(Math.Max(train, eval), WeightLoader.ScratchBytes(_config));
        var ledger = new List<LedgerItem>
        {
            new("device context and libraries", _device.FixedBytes),
            new(
                _format.Code is null ? "weights" : $"weights ({_format.Code.ToString()!.ToUpperInvariant()})",
                sizes.Weights),
        };
        if (_lora is not null)
        {
            ledger.Add(new LedgerItem("adapters, gradients", sizes.TrainedBytes));
        }
        else
        {
            // Where the decoder computes in F32 its weights are the masters.
            ledger.AddRange(sizes.TrainedBytes > sizes.GradientBytes
                ? [
                    new LedgerItem("F32 masters", sizes.TrainedBytes - sizes.GradientBytes),
                    new LedgerItem("gradients", sizes.GradientBytes)]
                : [new LedgerItem("gradients", sizes.TrainedBytes)]);
        }

        ledger.Add(new LedgerItem("optimizer state", sizes.OptimizerBytes));
        ledger.Add(new LedgerItem("rotary table, scalars", RopeBytes(work)));
        if (_device.DequantizesToScratch && sizes.Scratch > 0)
        {
            ledger.Add(new LedgerItem("dequantisation scratch", sizes.Scratch));
        }

        ledger.Add(new LedgerItem(
            recomputed == 0
                ? "activations (all kept) and logits chunk"
                : $"activations ({recomputed} layers recomputed{(offloads ? ", inputs on host" : "")}) "
                    + "and logits chunk",
            pass));
        var used = ledger.Sum(i => i.Bytes);
        var resident = 0;
        if (_device.DequantizesToScratch && sizes.ResidentLayer > 0)
        {
            resident = (int)Math.Clamp((_device.BudgetBytes - used) / sizes.ResidentLayer, 0, _config.Layers);
            if (resident > 0)
            {
                ledger.Add(new LedgerItem($"resident weights of {resident} layers", resident * sizes.ResidentLayer));
            }
        }

        var passHost = offloads
            ? DecoderModel.PassHostBytes(_config, sizes.Lora, _device.ActivationType, shape)
            : 0;
        List<LedgerItem> host = [];
        if (sizes.HostTable > 0)
        {
            host.Add(new LedgerItem("embedding table", sizes.HostTable));
        }

        if (passHost > 0)
        {
            host.Add(new LedgerItem("inputs of recomputed layers", passHost));
        }

        return new MemoryPlan
        {
            PassTokens = passTokens,
            EvalPassTokens = evalTokens,
            LogitsChunk = chunk,
            RecomputedLayers = recomputed,
            OffloadsInputs = offloads,
            ResidentLayers = resident,
            TableOnHost = tableOnHost,
            PassBytes = pass,
            PassHostBytes = passHost,
            Ledger = ledger,
            HostLedger = host,
            StepSeconds = Seconds(work, choice, resident),
        };
    }

    private static PassShape Shape(
        int tokens, int samples, int chunk, int recomputed, bool backward, bool offloads = false) =>
        new(tokens, Math.Min(samples, tokens), tokens, chunk, recomputed, backward) { OffloadsInputs = offloads };

    private static PassShape EvaluationShape(int tokens, int chunk) =>
        Shape(tokens, Math.Max(1, tokens / 2), chunk, 0, false);

    private long Bytes(in PassShape shape, LoraAdapters? adapters) =>
        DecoderModel.PassBytes(_config, adapters, _device.ActivationType, shape);

    /// <summary>Bytes of the rotary table and the step's scalars.</summary>
    /// <param name="work">The run's extremes.</param>
    private long RopeBytes(Workload work)
    {
        var statistic = _device.ActivationType == DType.F64 ? DType.F64 : DType.F32;
        return ((long)work.LongestSample * _config.HeadDim * statistic.Size()) + (64 * Arena.Alignment);
    }

    // Whole steps first, then halves, down to one micro-batch, which is never split.
    private List<int> PassCandidates(Workload work)
    {
        var candidates = new List<int>();
        var whole = Math.Max(
            work.LargestMicroBatch,
            Math.Min(work.LargestStep, Math.Max(_device.PreferredPassTokens, work.LargestMicroBatch)));
        for (var tokens = whole; tokens > work.LargestMicroBatch; tokens /= 2)
        {
            candidates.Add(tokens);
        }

        candidates.Add(work.LargestMicroBatch);
        return candidates;
    }

    private IEnumerable<int> RecomputeCandidates() => _recompute switch
    {
        RecomputeMode.Never => [0],
        RecomputeMode.Always => [_config.Layers],
        _ => Enumerable.Range(0, _config.Layers + 1),
    };

    // Where the device's memory is the host's, moving inputs buys nothing.
    private bool[] OffloadCandidates(int recomputed) =>
        _device.DequantizesToScratch && recomputed > LayerInputs.Slots ? [false, true] : [false];

    // Matrix time of the useful work, of recomputation, of dequantisation, and what a small pass wastes.
    private double Seconds(Workload work, in TrainingChoice choice, int resident)
    {
        var (tableOnHost, passTokens, chunk, recomputed, offloads) = choice;
        var rate = _device.MatMulRate ?? 1e11;
        var outputs = _config.QkvWidth + _config.QueryWidth + (3.0 * _config.IntermediateSize);
        var layer = 2.0 * ((double)_config.HiddenSize * outputs);
        var head = 2.0 * _config.HiddenSize * _config.VocabularySize * work.TrainedShare;
        var tokens = Math.Max(1, work.MeanStep);
        // A gradient of the weights costs as much as one of the inputs.
        var products = _lora is null ? 3 : 2;
        var flops = tokens * ((products * layer * _config.Layers) + (products * head) + (0.7 * layer * recomputed));
        var passes = work.PassesPerStep(passTokens);
        var perPass = tokens / passes;
        var efficiency = perPass / (perPass + 96);
        var seconds = flops / (rate * efficiency);
        if (_device.DequantizesToScratch && _format.Code is not null && _device.Bandwidth is { } bandwidth)
        {
            var bytes = layer / 2 * 2.6;
            var dequantised = (2 * (_config.Layers - resident)) + Math.Max(0, recomputed - resident);
            var share = perPass <= _device.FusedTokens ? FusedShare * perPass / _device.FusedTokens : 1;
            seconds += passes * bytes * dequantised / bandwidth * share;
        }

        if (offloads)
        {
            // Copies hide behind the computation as far as they are shorter than it.
            var inputs = tokens * _config.HiddenSize * _device.ActivationType.Size();
            var copied = 2 * inputs * (recomputed - LayerInputs.Slots);
            seconds = Math.Max(seconds, copied / BusBytesPerSecond) * 1.005;
        }

        // Smaller chunks and a table behind the bus are slightly slower; enough to break ties the right way.
        return seconds * (1 + (8.0 / chunk) + (tableOnHost ? 0.002 : 0));
    }

    private string Explain(MemoryPlan leanest)
    {
        static string Gib(long bytes) => $"{bytes / (double)(1 << 30):0.00} GiB";
        var items = string.Join(
            "; ", leanest.Ledger.OrderByDescending(i => i.Bytes).Take(4).Select(i => $"{i.Item} {Gib(i.Bytes)}"));
        var advice = _recompute == RecomputeMode.Never ? "set gradient_checkpointing: true, " : "";
        return $"The run needs at least {Gib(leanest.TotalBytes)} on the device; "
            + $"the budget is {Gib(_device.BudgetBytes)}. Largest items: {items}. What helps: "
            + $"{advice}a smaller sequence_len or micro_batch_size, adamw_8bit"
            + (_lora is null ? ", adapter: lora." : ", load_in_4bit.");
    }

    private readonly record struct TrainingChoice(
        bool TableOnHost, int PassTokens, int Chunk, int Recomputed, bool OffloadsInputs);

    private sealed class Sizes
    {
        public Sizes(MemoryPlanner planner, bool tableOnHost)
        {
            var (config, format, type) = (planner._config, planner._format, planner._device.ActivationType);
            IReadOnlyList<ParameterSlot> slots;
            var (arena, table, trained) = (Arena.Counting(), Arena.Counting(), Arena.Counting());
            if (planner._lora is { } options)
            {
                var weights = ModelWeights.Allocate(config, format, arena, table);
                var onHost = tableOnHost && !config.TiedHead;
                (Weights, HostTable) = (arena.Peak + (onHost ? 0 : table.Peak), onHost ? table.Peak : 0);
                Scratch = (long)weights.LargestQuantizedCount * type.Size();
                Lora = LoraAdapters.Allocate(config, options, type, trained);
                (slots, TrainedBytes) = (Lora.Parameters.Slots, trained.Peak);
                ResidentLayer = format.Code is null ? 0 : ResidentBytes(planner, options, weights);
            }
            else
            {
                // The weights are part of what is trained: where the decoder reads the
                // masters, the masters are the weights.
                ModelWeights.Allocate(config, FullParameters.Format(type), arena, arena);
                slots = FullParameters.Allocate(config, type, trained).Parameters.Slots;
                (Weights, TrainedBytes) = (arena.Peak, trained.Peak - arena.Peak);
                var gradients = Arena.Counting();
                ModelWeights.Allocate(config, FullParameters.Format(DType.F32), gradients, gradients);
                GradientBytes = gradients.Peak;
            }

            var optimizer = Arena.Counting();
            OptimizerState.Allocate(slots, planner._eightBit, optimizer);
            OptimizerBytes = optimizer.Peak;
        }

        // Dense copies of a layer's weights, and by how much the adapters' own copies grow beside them.
        private long ResidentBytes(MemoryPlanner planner, LoraOptions options, ModelWeights weights)
        {
            var (config, type) = (planner._config, planner._device.ActivationType);
            var joined = Arena.Counting();
            var adapters = LoraAdapters.Allocate(config, options, type, joined, config.Layers);
            ResidentWeights.Allocate(weights, adapters, config.Layers, type, joined);
            return (joined.Peak - TrainedBytes + config.Layers - 1) / config.Layers;
        }

        public long Weights { get; }

        /// <summary>Bytes of the embedding table where it lives on the host.</summary>
        public long HostTable { get; }

        public long Scratch { get; }

        public long ResidentLayer { get; }

        public LoraAdapters? Lora { get; }

        public long TrainedBytes { get; }

        /// <summary>Gradients of every weight, part of <see cref="TrainedBytes"/>; 0 with adapters.</summary>
        public long GradientBytes { get; }

        public long OptimizerBytes { get; }
    }
}
