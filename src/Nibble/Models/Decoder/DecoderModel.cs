using System.Runtime.InteropServices;
using Nibble.Data;
using Nibble.Models.Full;
using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>
/// The decoder graph of Qwen2, Qwen3, Llama and Mistral, forward and backward, written out by hand: one pass over a
/// flat run of tokens adds to the gradients of what is trained and to the loss. Source of the graph: transformers
/// <c>models/qwen2/modeling_qwen2.py</c> and its siblings.
/// </summary>
public sealed partial class DecoderModel
{
    private readonly IBackend _backend;
    private readonly ModelConfig _config;
    private readonly ModelWeights _weights;
    private readonly LoraAdapters? _lora;
    private readonly FullParameters? _full;
    private readonly TensorView _rope;
    private readonly TensorView _gradients;
    private readonly int _lowestLayer;

    /// <summary>Puts a graph over weights.</summary>
    /// <param name="backend">Owner of all memory.</param>
    /// <param name="weights">Loaded weights.</param>
    /// <param name="lora">Adapters, or null for the base model alone.</param>
    /// <param name="rope">F32 (reference: F64) [positions, D] from <see cref="RopeTable"/>.</param>
    /// <param name="full">The weights' masters and gradients when every weight is trained;
    /// null when they are frozen.</param>
    /// <exception cref="ArgumentException">Adapters over weights that are trained too.</exception>
    public DecoderModel(
        IBackend backend, ModelWeights weights, LoraAdapters? lora, TensorView rope, FullParameters? full = null)
    {
        ArgumentNullException.ThrowIfNull(weights);
        if (full is not null && (lora is not null || !ReferenceEquals(full.Weights, weights)))
        {
            throw new ArgumentException(
                "expected adapters or trained weights, and these weights to be the trained ones", nameof(full));
        }

        (_backend, _config, _weights, _lora, _full, _rope) = (backend, weights.Config, weights, lora, full, rope);
        _gradients = lora?.Parameters.Gradient ?? TensorView.None;
        _lowestLayer = full is not null ? 0 : lora?.LowestLayer ?? weights.Config.Layers;
    }

    /// <summary>Adapters being trained, or null.</summary>
    public LoraAdapters? Lora => _lora;

    /// <summary>What is trained: adapters, or every weight, or null.</summary>
    public ParameterSet? Trained => _lora?.Parameters ?? _full?.Parameters;

    /// <summary>Pinned host memory, at least <see cref="PassHostBytes"/>, for passes that move inputs of layers
    /// there; null where none does.</summary>
    public Arena? HostArena { get; init; }

    /// <summary>Bytes a pass takes from its arena.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="lora">Adapters (a counting layout will do), or null.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="shape">What the pass computes.</param>
    public static long PassBytes(ModelConfig config, LoraAdapters? lora, DType activation, in PassShape shape)
    {
        var arena = Arena.Counting();
        PassBuffers.Allocate(config, lora, activation, shape, arena, Arena.Counting());
        return arena.Peak;
    }

    /// <summary>Bytes a pass takes from <see cref="HostArena"/>.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="lora">Adapters (a counting layout will do), or null.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="shape">What the pass computes.</param>
    public static long PassHostBytes(ModelConfig config, LoraAdapters? lora, DType activation, in PassShape shape)
    {
        var host = Arena.Counting();
        PassBuffers.Allocate(config, lora, activation, shape, Arena.Counting(), host);
        return host.Peak;
    }

    /// <summary>
    /// Loss of a batch: adds <c>Σ cross-entropy × lossScale</c> over its trained tokens to <paramref name="lossTotal"/>
    /// and, when the shape says so, the gradient of that to the gradient of everything trained.
    /// </summary>
    /// <param name="batch">Flat run of tokens.</param>
    /// <param name="shape">From <see cref="Shape"/>.</param>
    /// <param name="arena">Holds at least <see cref="PassBytes"/>; back to its mark on return.</param>
    /// <param name="lossScale">Usually 1 / trained tokens of the optimizer step.</param>
    /// <param name="place">Fixes dropout.</param>
    /// <param name="lossTotal">F64 [1, 1].</param>
    public void Run(
        Batch batch, in PassShape shape, Arena arena, double lossScale, in DropoutPlace place, TensorView lossTotal)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(arena);
        var (mark, hostMark) = (arena.Used, HostArena?.Used ?? 0);
        var buffers = PassBuffers.Allocate(_config, _lora, _backend.ActivationType, shape, arena, HostArena);
        UploadInputs(batch, buffers);
        var attention = Attention(batch.LongestSample, batch.LongestSample);
        var product = new LoraProduct(
            _backend, shape.Backward ? (float)(_lora?.Options.Dropout ?? 0) : 0, place);
        Forward(buffers, product, attention);
        Head(buffers, shape, batch.TrainedTokens, lossScale, lossTotal);
        if (shape.Backward && Trained is not null)
        {
            Backward(buffers, shape, product, attention);
        }

        // Nothing is under way any more: every slot was claimed after the last copy out of it or into it.
        HostArena?.Release(hostMark);
        arena.Release(mark);
    }

    /// <summary>The shape of a pass over a batch.</summary>
    /// <param name="batch">Flat run of tokens.</param>
    /// <param name="logitsChunk">Positions whose logits exist at a time.</param>
    /// <param name="recomputedLayers">Layers whose activations are recomputed.</param>
    /// <param name="backward">Whether gradients are computed.</param>
    /// <param name="offloadsInputs">Whether their inputs wait in <see cref="HostArena"/>.</param>
    public static PassShape Shape(
        Batch batch, int logitsChunk, int recomputedLayers, bool backward, bool offloadsInputs = false)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return new PassShape(
            batch.InputIds.Length, batch.CuSeqlens.Length - 1, batch.TrainedTokens, logitsChunk,
            recomputedLayers, backward)
        {
            OffloadsInputs = offloadsInputs,
        };
    }

    private AttentionShape Attention(int longestQuery, int longestKey) => new(
        _config.Heads, _config.KvHeads, _config.HeadDim, 1f / MathF.Sqrt(_config.HeadDim), 0, longestQuery, longestKey);

    private void UploadInputs(Batch batch, PassBuffers buffers)
    {
        void Upload(ReadOnlySpan<int> values, TensorView view) =>
            _backend.Upload(MemoryMarshal.AsBytes(values), view.ColRange(0, values.Length));
        Upload(batch.InputIds, buffers.Ids);
        Upload(batch.Positions, buffers.Positions);
        Upload(batch.CuSeqlens, buffers.CuSeqlens);
        if (batch.TrainedTokens > 0)
        {
            Upload(batch.TrainedPositions, buffers.TrainedIndex);
            Upload(batch.TrainedTargets, buffers.Targets);
        }
    }

    private void Forward(
        PassBuffers buffers, in LoraProduct product, in AttentionShape attention, CachedKeys? cached = null)
    {
        for (var l = 0; l < _config.Layers; l++)
        {
            var (layer, weights) = (buffers.Layers[l], _weights.Layers[l]);
            buffers.Inputs?.Claim(_backend, l);
            if (l == 0)
            {
                _backend.Embedding(buffers.Ids, _weights.Embedding, layer.Input);
                _backend.RmsNorm(layer.Input, weights.InputNorm, _config.NormEpsilon, layer.Normed, layer.InputRstd);
            }
            else
            {
                _backend.AddRmsNorm(
                    buffers.Layers[l - 1].Middle, buffers.Projected, layer.Input, weights.InputNorm,
                    _config.NormEpsilon, layer.Normed, layer.InputRstd);
            }

            buffers.Inputs?.Written(_backend, l);
            LayerForward(l, buffers, product, attention, cached);
            _backend.SwiGlu(layer.GateUp, buffers.Gated);
            product.Forward(
                weights.Down, _lora?.Layers[l].Down, l, 3, buffers.Gated, buffers.Projected,
                layer.LoraDown, buffers.Dropped);
        }

        _backend.AddRmsNorm(
            buffers.Layers[^1].Middle, buffers.Projected, buffers.Final, _weights.FinalNorm, _config.NormEpsilon,
            buffers.FinalNormed, buffers.FinalRstd);
    }

    // From the normed input to gate and up: exactly what a backward pass needs again when the layer was not kept.
    private void LayerForward(
        int l, PassBuffers buffers, in LoraProduct product, in AttentionShape attention, CachedKeys? cached = null)
    {
        var (layer, weights, lora) = (buffers.Layers[l], _weights.Layers[l], _lora?.Layers[l]);
        product.Forward(weights.Qkv, lora?.Qkv, l, 0, layer.Normed, layer.Qkv, layer.LoraQkv, buffers.Dropped);
        NormAndRotate(layer, weights, buffers.Positions);
        var (q, k, v) = Split(layer.Qkv);
        var cuKeys = buffers.CuSeqlens;
        if (cached is { } source)
        {
            var (keys, values) = (source.Cache.Keys(l), source.Cache.Values(l));
            _backend.ScatterRows(k, source.Rows, keys);
            _backend.ScatterRows(v, source.Rows, values);
            (k, v, cuKeys) = (keys.RowRange(0, source.Count), values.RowRange(0, source.Count), source.CuKeys);
        }

        _backend.Attention(
            q, k, v, buffers.CuSeqlens, cuKeys, attention with { Window = _config.Windows[l] }, layer.Attention,
            layer.LogSumExp);
        product.Forward(
            weights.Output, lora?.Output, l, 1, layer.Attention, buffers.Projected, layer.LoraOutput, buffers.Dropped);
        _backend.AddRmsNorm(
            layer.Input, buffers.Projected, layer.Middle, weights.PostAttentionNorm,
            _config.NormEpsilon, layer.MiddleNormed, layer.MiddleRstd);
        product.Forward(
            weights.GateUp, lora?.GateUp, l, 2, layer.MiddleNormed, layer.GateUp, layer.LoraGateUp, buffers.Dropped);
    }

    private void NormAndRotate(LayerActivations layer, LayerWeights weights, TensorView positions)
    {
        var queryKey = layer.Qkv.ColRange(0, _config.QueryWidth + _config.KvWidth);
        if (_config.QkNorm)
        {
            var (rawQuery, rawKey) = SplitQueryKey(layer.RawQueryKey);
            var (query, key) = SplitQueryKey(queryKey);
            _backend.Convert(queryKey, layer.RawQueryKey);
            _backend.RmsNorm(rawQuery, weights.QueryNorm, _config.NormEpsilon, query, layer.QueryRstd);
            _backend.RmsNorm(rawKey, weights.KeyNorm, _config.NormEpsilon, key, layer.KeyRstd);
        }

        _backend.Rope(queryKey, positions, _rope, inverse: false);
    }

    private (TensorView Query, TensorView Key, TensorView Value) Split(TensorView qkv) => (
        qkv.ColRange(0, _config.QueryWidth),
        qkv.ColRange(_config.QueryWidth, _config.KvWidth),
        qkv.ColRange(_config.QueryWidth + _config.KvWidth, _config.KvWidth));

    private (TensorView Query, TensorView Key) SplitQueryKey(TensorView queryKey) =>
        (queryKey.ColRange(0, _config.QueryWidth), queryKey.ColRange(_config.QueryWidth, _config.KvWidth));

    // Loss, and the gradient of the final norm's output in Backward.Normed, a chunk of trained positions at a time.
    private void Head(PassBuffers buffers, in PassShape shape, int trained, double lossScale, TensorView lossTotal)
    {
        if (buffers.Backward is { } backward)
        {
            _backend.Zero(backward.Normed);
        }

        var chunk = buffers.Logits.Rows;
        for (var at = 0; at < trained; at += chunk)
        {
            var count = Math.Min(chunk, trained - at);
            var (rows, logits) = (buffers.HeadRows.RowRange(0, count), buffers.Logits.RowRange(0, count));
            var index = buffers.TrainedIndex.ColRange(at, count);
            _backend.GatherRows(buffers.FinalNormed, index, rows);
            _backend.Linear(rows, _weights.Head, logits);
            _backend.CrossEntropy(
                logits, buffers.Targets.ColRange(at, count), buffers.Losses.ColRange(at, count),
                shape.Backward ? (float)lossScale : 0);
            if (buffers.Backward is not null)
            {
                WeightGradient(_full?.Gradients.Head, rows, logits);
                _backend.LinearBackward(logits, _weights.Head, rows, accumulate: false);
                _backend.ScatterRows(rows, index, buffers.Backward.Normed);
            }
        }

        if (trained > 0)
        {
            _backend.AccumulateSum(buffers.Losses.ColRange(0, trained), lossScale, lossTotal);
        }
    }

    private void Backward(PassBuffers buffers, in PassShape shape, in LoraProduct product, in AttentionShape attention)
    {
        var gradient = buffers.Backward!;
        _backend.RmsNormBackward(
            gradient.Normed, buffers.Final, _weights.FinalNorm, buffers.FinalRstd, gradient.Stream, accumulate: false,
            _full?.Gradients.FinalNorm ?? TensorView.None);
        for (var l = _config.Layers - 1; l >= _lowestLayer; l--)
        {
            var layer = buffers.Layers[l];
            buffers.Inputs?.Claim(_backend, l);

            // The shared set still holds the last layer that used it.
            if (l < shape.RecomputedLayers - 1)
            {
                _backend.RmsNorm(
                    layer.Input, _weights.Layers[l].InputNorm, _config.NormEpsilon, layer.Normed, layer.InputRstd);
                LayerForward(l, buffers, product, attention);
            }

            MlpBackward(l, buffers, product);
            AttentionBackward(l, buffers, product, attention);
            buffers.Inputs?.Used(_backend, l);
        }

        if (_full is not null)
        {
            _backend.EmbeddingBackward(buffers.Ids, gradient.Stream, _full.Gradients.Embedding);
        }
    }

    private void MlpBackward(int l, PassBuffers buffers, in LoraProduct product)
    {
        var (layer, weights, gradient) = (buffers.Layers[l], _weights.Layers[l], buffers.Backward!);
        var (lora, dWeights) = (_lora?.Layers[l], _full?.Gradients.Layers[l]);
        product.Backward(
            weights.Down, lora?.Down, _gradients, l, 3, gradient.Stream, layer.LoraDown, gradient.LoraStream,
            gradient.Gated, buffers.Dropped);

        // What is trained on down needs its input, which is cheaper to make again than to keep: over its gradient.
        var gated = lora?.Down is not null || dWeights is not null ? gradient.Gated : TensorView.None;
        _backend.SwiGluBackward(gradient.Gated, layer.GateUp, layer.GateUp, gated);
        product.BackwardA(lora?.Down, _gradients, l, 3, gated, gradient.LoraStream, buffers.Dropped);
        WeightGradient(dWeights?.Down, gated, gradient.Stream);

        WeightGradient(dWeights?.GateUp, layer.MiddleNormed, layer.GateUp);
        product.Backward(
            weights.GateUp, lora?.GateUp, _gradients, l, 2, layer.GateUp, layer.LoraGateUp, layer.LoraGateUpGradient,
            gradient.Normed, buffers.Dropped);
        product.BackwardA(
            lora?.GateUp, _gradients, l, 2, layer.MiddleNormed, layer.LoraGateUpGradient, buffers.Dropped);
        _backend.RmsNormBackward(
            gradient.Normed, layer.Middle, weights.PostAttentionNorm, layer.MiddleRstd,
            gradient.Stream, accumulate: true, dWeights?.PostAttentionNorm ?? TensorView.None);
    }

    private void AttentionBackward(int l, PassBuffers buffers, in LoraProduct product, in AttentionShape attention)
    {
        var (layer, weights, gradient) = (buffers.Layers[l], _weights.Layers[l], buffers.Backward!);
        var (lora, dWeights) = (_lora?.Layers[l], _full?.Gradients.Layers[l]);
        var lowest = l == _lowestLayer && _full is null;
        if (lowest && lora?.Qkv is null && lora?.Output is null)
        {
            return;
        }

        // Nothing below the lowest adapter is trained, so its input has no use for a gradient.
        var stopsAtOutput = lowest && lora?.Qkv is null;
        WeightGradient(dWeights?.Output, layer.Attention, gradient.Stream);
        product.Backward(
            weights.Output, lora?.Output, _gradients, l, 1, gradient.Stream, layer.LoraOutput, gradient.LoraStream,
            stopsAtOutput ? TensorView.None : gradient.Attention, buffers.Dropped);
        product.BackwardA(lora?.Output, _gradients, l, 1, layer.Attention, gradient.LoraStream, buffers.Dropped);
        if (stopsAtOutput)
        {
            return;
        }

        var (q, k, v) = Split(layer.Qkv);
        var (dq, dk, dv) = Split(gradient.Qkv);
        _backend.AttentionBackward(
            gradient.Attention, q, k, v, layer.Attention, layer.LogSumExp, buffers.CuSeqlens,
            attention with { Window = _config.Windows[l] }, gradient.Delta, dq, dk, dv);
        _backend.Rope(
            gradient.Qkv.ColRange(0, _config.QueryWidth + _config.KvWidth), buffers.Positions, _rope, inverse: true);
        if (_config.QkNorm)
        {
            var (rawQuery, rawKey) = SplitQueryKey(layer.RawQueryKey);
            _backend.RmsNormBackward(
                dq, rawQuery, weights.QueryNorm, layer.QueryRstd, dq, accumulate: false,
                dWeights?.QueryNorm ?? TensorView.None);
            _backend.RmsNormBackward(
                dk, rawKey, weights.KeyNorm, layer.KeyRstd, dk, accumulate: false,
                dWeights?.KeyNorm ?? TensorView.None);
        }

        WeightGradient(dWeights?.Qkv, layer.Normed, gradient.Qkv);
        product.Backward(
            weights.Qkv, lora?.Qkv, _gradients, l, 0, gradient.Qkv, layer.LoraQkv, gradient.LoraQkv,
            lowest ? TensorView.None : gradient.Normed, buffers.Dropped);
        product.BackwardA(lora?.Qkv, _gradients, l, 0, layer.Normed, gradient.LoraQkv, buffers.Dropped);
        if (!lowest)
        {
            _backend.RmsNormBackward(
                gradient.Normed, layer.Input, weights.InputNorm, layer.InputRstd, gradient.Stream, accumulate: true,
                dWeights?.InputNorm ?? TensorView.None);
        }
    }

    // dW += dyᵀ x and db += Σ dy, for a product whose weight is trained; q, k, v (and gate, up) as one.
    private void WeightGradient(FrozenLinear? gradient, TensorView x, TensorView dy)
    {
        if (gradient is null)
        {
            return;
        }

        _backend.MatMul(dy, true, x, false, gradient.Dense, accumulate: true);
        if (!gradient.Bias.IsNone)
        {
            _backend.ColumnSum(dy, gradient.Bias);
        }
    }
}
