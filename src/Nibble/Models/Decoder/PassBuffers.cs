using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>Activations of one layer that its backward pass reads.</summary>
internal sealed class LayerActivations
{
    /// <summary>[T, C]: the residual stream entering the layer.</summary>
    public required TensorView Input { get; init; }

    public required TensorView InputRstd { get; init; }

    /// <summary>[T, C]: normed input of q, k, v.</summary>
    public required TensorView Normed { get; init; }

    /// <summary>[T, (H + 2 Hkv) D]: q, k after norm and rotation, v.</summary>
    public required TensorView Qkv { get; init; }

    /// <summary>[T, (H + Hkv) D]: q, k before their norms; none without them.</summary>
    public required TensorView RawQueryKey { get; init; }

    public required TensorView QueryRstd { get; init; }

    public required TensorView KeyRstd { get; init; }

    /// <summary>[T, H D].</summary>
    public required TensorView Attention { get; init; }

    /// <summary>[H, T].</summary>
    public required TensorView LogSumExp { get; init; }

    /// <summary>[T, C]: the residual stream between attention and MLP.</summary>
    public required TensorView Middle { get; init; }

    public required TensorView MiddleRstd { get; init; }

    /// <summary>[T, C]: normed input of gate and up.</summary>
    public required TensorView MiddleNormed { get; init; }

    /// <summary>[T, 2F].</summary>
    public required TensorView GateUp { get; init; }

    /// <summary>x Aᵀ of each group, [T, ΣR], behind the columns of its x but for down; none without adapters.</summary>
    public required TensorView LoraQkv { get; init; }

    public required TensorView LoraOutput { get; init; }

    public required TensorView LoraGateUp { get; init; }

    public required TensorView LoraDown { get; init; }

    /// <summary>Gradient of <see cref="LoraGateUp"/>, behind the columns of <see cref="GateUp"/>.</summary>
    public required TensorView LoraGateUpGradient { get; init; }
}

/// <summary>
/// All memory of one pass, taken in one go. The planner runs this same code on a counting arena, so the ledger and the
/// run cannot disagree.
/// </summary>
internal sealed class PassBuffers
{
    public required TensorView Ids { get; init; }

    public required TensorView Positions { get; init; }

    public required TensorView CuSeqlens { get; init; }

    public required TensorView TrainedIndex { get; init; }

    public required TensorView Targets { get; init; }

    public required TensorView Losses { get; init; }

    public required LayerActivations[] Layers { get; init; }

    /// <summary>Inputs of the recomputed layers when they wait on the host, or null.</summary>
    public required LayerInputs? Inputs { get; init; }

    /// <summary>[T, C]: output of o and of down before it joins the residual stream.</summary>
    public TensorView Projected { get; private set; }

    /// <summary>[T, F]: gated activation.</summary>
    public TensorView Gated { get; private set; }

    /// <summary>[T, C]: residual stream after the last layer.</summary>
    public TensorView Final { get; private set; }

    public required TensorView FinalRstd { get; init; }

    /// <summary>[T, C]: normed final stream.</summary>
    public TensorView FinalNormed { get; private set; }

    /// <summary>[chunk, C].</summary>
    public TensorView HeadRows { get; private set; }

    /// <summary>[chunk, V].</summary>
    public TensorView Logits { get; private set; }

    /// <summary>Scratch for a group's dropped-out input and for that input's gradient, [T, widest K]; none without
    /// dropout.</summary>
    public TensorView Dropped { get; private set; }

    public BackwardBuffers? Backward { get; private set; }

    /// <summary>Takes the memory of a pass.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="lora">Adapters or null.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="shape">What the pass computes.</param>
    /// <param name="arena">Where from.</param>
    /// <param name="host">Pinned host memory; needed when inputs of layers wait there.</param>
    /// <exception cref="ArgumentException">They do and there is none.</exception>
    public static PassBuffers Allocate(
        ModelConfig config, LoraAdapters? lora, DType activation, in PassShape shape, Arena arena, Arena? host = null)
    {
        var (t, c) = (shape.Tokens, config.HiddenSize);
        var statistic = activation == DType.F64 ? DType.F64 : DType.F32;
        TensorView Activation(int rows, int cols) => arena.Allocate(activation, rows, cols);
        var n = Math.Max(1, shape.TrainedTokens);
        var layers = new LayerActivations[config.Layers];
        LayerActivations? shared = null;
        var inputs = shape is { Backward: true, OffloadsInputs: true, RecomputedLayers: > 0 }
            ? LayerInputs.Allocate(
                shape.RecomputedLayers, lora?.LowestLayer ?? 0, activation, t, c, arena,
                host ?? throw new ArgumentException(
                    "expected pinned host memory for the inputs of recomputed layers, got none", nameof(host)))
            : null;
        var sharedLayers = shape.Backward ? shape.RecomputedLayers : config.Layers;
        for (var l = 0; l < layers.Length; l++)
        {
            var adapters = lora?.Layers[l];
            if (l >= sharedLayers)
            {
                layers[l] = Layer(arena, config, adapters, activation, statistic, t, Activation(t, c));
                continue;
            }

            // A shared set serves one layer at a time. What survives is the residual stream entering each layer and,
            // because recomputation stops before the down projection, its x Aᵀ; in evaluation not even that.
            shared ??= Layer(arena, config, adapters, activation, statistic, t, inputs?[0] ?? Activation(t, c));
            layers[l] = l == 0 || !shape.Backward
                ? shared
                : WithOwn(
                    shared, inputs?[l] ?? Activation(t, c),
                    adapters?.Down is { } down ? Activation(t, down.RankSum) : TensorView.None);
        }

        var buffers = new PassBuffers
        {
            Ids = arena.Allocate(DType.I32, 1, t),
            Positions = arena.Allocate(DType.I32, 1, t),
            CuSeqlens = arena.Allocate(DType.I32, 1, shape.Samples + 1),
            TrainedIndex = arena.Allocate(DType.I32, 1, n),
            Targets = arena.Allocate(DType.I32, 1, n),
            Losses = arena.Allocate(statistic, 1, n),
            FinalRstd = arena.Allocate(statistic, t, 1),
            Layers = layers,
            Inputs = inputs,
        };
        buffers.TakeWorkspace(config, lora, activation, statistic, shape, new PassLifetimes(arena));
        return buffers;
    }

    // Everything that is not needed all through the pass. The order matters to the sum alone: what is needed beside the
    // most comes first.
    private void TakeWorkspace(
        ModelConfig config, LoraAdapters? lora, DType activation, DType statistic, PassShape shape,
        PassLifetimes lifetimes)
    {
        const PassPhase LayerGradients = PassPhase.MlpBackward | PassPhase.AttentionBackward;
        var (t, c, f) = (shape.Tokens, config.HiddenSize, config.IntermediateSize);
        var chunk = Math.Min(Math.Max(1, shape.TrainedTokens), shape.LogitsChunk);
        var groups = lora is null ? [] : lora.Layers.SelectMany(l => l.Groups).ToArray();
        var dropout = lora is { Options.Dropout: > 0 } && shape.Backward;
        TensorView Take(PassPhase lifetime, int rows, int cols) => lifetimes.Take(lifetime, activation, rows, cols);
        TensorView Gradient(PassPhase lifetime, int cols) =>
            shape.Backward ? Take(lifetime, t, cols) : TensorView.None;

        (TensorView Gradient, TensorView Lora) Adapted(PassPhase lifetime, int cols, int rankSum) =>
            shape.Backward ? Columns(Take(lifetime, t, LoraGroup.Stride(cols, rankSum)), cols, rankSum) : default;

        Projected = Take(PassPhase.LayerForward | PassPhase.FinalNorm | PassPhase.Recompute, t, c);
        var normed = Gradient(PassPhase.Head | PassPhase.FinalNormBackward | LayerGradients, c);
        var (stream, streamLora) = Adapted(
            PassPhase.FinalNormBackward | PassPhase.LayerBackward, c,
            WidestRank(lora, l => Math.Max(l.Output?.RankSum ?? 0, l.Down?.RankSum ?? 0)));
        FinalNormed = Take(PassPhase.FinalNorm | PassPhase.Head, t, c);
        Final = Take(PassPhase.FinalNorm | PassPhase.Head | PassPhase.FinalNormBackward, t, c);
        Dropped = dropout
            ? Take(PassPhase.LayerForward | PassPhase.LayerBackward, t, groups.Max(g => g.In))
            : TensorView.None;
        Gated = Take(PassPhase.LayerForward, t, f);
        var gated = Gradient(PassPhase.MlpBackward, f);
        var attention = Gradient(PassPhase.AttentionBackward, config.QueryWidth);
        var (qkv, qkvLora) = Adapted(
            PassPhase.AttentionBackward, config.QkvWidth, WidestRank(lora, l => l.Qkv?.RankSum ?? 0));
        var delta = shape.Backward
            ? lifetimes.Take(PassPhase.AttentionBackward, statistic, config.Heads, t)
            : TensorView.None;
        HeadRows = Take(PassPhase.Head, chunk, c);
        Logits = Take(PassPhase.Head, chunk, config.VocabularySize);
        Backward = !shape.Backward ? null : new BackwardBuffers
        {
            Stream = stream,
            Normed = normed,
            Qkv = qkv,
            Attention = attention,
            Gated = gated,
            Delta = delta,
            LoraStream = streamLora,
            LoraQkv = qkvLora,
        };
    }

    private static LayerActivations Layer(
        Arena arena, ModelConfig config, LoraLayer? lora, DType activation, DType statistic, int t, TensorView input)
    {
        TensorView Activation(int cols) => arena.Allocate(activation, t, cols);
        TensorView Statistic(int rows, int cols) => arena.Allocate(statistic, rows, cols);
        (TensorView Values, TensorView Lora) Adapted(int cols, LoraGroup? group)
        {
            var rankSum = group?.RankSum ?? 0;
            return Columns(Activation(LoraGroup.Stride(cols, rankSum)), cols, rankSum);
        }

        var c = config.HiddenSize;
        var (normed, loraQkv) = Adapted(c, lora?.Qkv);
        var (attention, loraOutput) = Adapted(config.QueryWidth, lora?.Output);
        var (middleNormed, loraGateUp) = Adapted(c, lora?.GateUp);
        var (gateUp, loraGateUpGradient) = Adapted(2 * config.IntermediateSize, lora?.GateUp);
        return new LayerActivations
        {
            Input = input,
            InputRstd = Statistic(t, 1),
            Normed = normed,
            Qkv = Activation(config.QkvWidth),
            RawQueryKey = config.QkNorm ? Activation(config.QueryWidth + config.KvWidth) : TensorView.None,
            QueryRstd = config.QkNorm ? Statistic(t, config.Heads) : TensorView.None,
            KeyRstd = config.QkNorm ? Statistic(t, config.KvHeads) : TensorView.None,
            Attention = attention,
            LogSumExp = Statistic(config.Heads, t),
            Middle = Activation(c),
            MiddleRstd = Statistic(t, 1),
            MiddleNormed = middleNormed,
            GateUp = gateUp,
            LoraQkv = loraQkv,
            LoraOutput = loraOutput,
            LoraGateUp = loraGateUp,
            LoraDown = lora?.Down is { } down ? Activation(down.RankSum) : TensorView.None,
            LoraGateUpGradient = loraGateUpGradient,
        };
    }

    private static LayerActivations WithOwn(LayerActivations shared, TensorView input, TensorView loraDown) => new()
    {
        Input = input,
        InputRstd = shared.InputRstd,
        Normed = shared.Normed,
        Qkv = shared.Qkv,
        RawQueryKey = shared.RawQueryKey,
        QueryRstd = shared.QueryRstd,
        KeyRstd = shared.KeyRstd,
        Attention = shared.Attention,
        LogSumExp = shared.LogSumExp,
        Middle = shared.Middle,
        MiddleRstd = shared.MiddleRstd,
        MiddleNormed = shared.MiddleNormed,
        GateUp = shared.GateUp,
        LoraQkv = shared.LoraQkv,
        LoraOutput = shared.LoraOutput,
        LoraGateUp = shared.LoraGateUp,
        LoraDown = loraDown,
        LoraGateUpGradient = shared.LoraGateUpGradient,
    };

    private static int WidestRank(LoraAdapters? lora, Func<LoraLayer, int> rankSum) =>
        lora is null ? 0 : lora.Layers.Max(rankSum);

    // Some columns of a piece, and right behind them those of a LoRA product, none where there is none.
    private static (TensorView Values, TensorView Lora) Columns(TensorView whole, int cols, int rankSum) =>
        (whole.ColRange(0, cols), rankSum == 0 ? TensorView.None : whole.ColRange(cols, rankSum));
}

/// <summary>Memory that only the backward pass needs; shared by all layers.</summary>
internal sealed class BackwardBuffers
{
    /// <summary>[T, C]: gradient of the residual stream.</summary>
    public required TensorView Stream { get; init; }

    /// <summary>[T, C]: gradient of a norm's output.</summary>
    public required TensorView Normed { get; init; }

    /// <summary>[T, (H + 2 Hkv) D].</summary>
    public required TensorView Qkv { get; init; }

    /// <summary>[T, H D].</summary>
    public required TensorView Attention { get; init; }

    /// <summary>[T, F].</summary>
    public required TensorView Gated { get; init; }

    /// <summary>[H, T].</summary>
    public required TensorView Delta { get; init; }

    /// <summary>[T, wider ΣR of o and down]: gradient of x Aᵀ, behind the columns of <see cref="Stream"/>; none
    /// without such adapters.</summary>
    public required TensorView LoraStream { get; init; }

    /// <summary>[T, ΣR of q, k, v], behind the columns of <see cref="Qkv"/>; none without such adapters.</summary>
    public required TensorView LoraQkv { get; init; }
}
