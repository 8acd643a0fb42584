using System.Runtime.InteropServices;
using Nibble.Data;
using Nibble.Tensors;

namespace Nibble.Models.Decoder;

public sealed partial class DecoderModel
{
    /// <summary>The shape of a cached step.</summary>
    /// <param name="tokens">Tokens appended.</param>
    public static PassShape CachedShape(int tokens) => new(tokens, 1, 1, 1, 0, Backward: false);

    /// <summary>Appends tokens to a sequence and gives the logits that predict the next one.</summary>
    /// <param name="ids">Tokens after those in the cache; at least one.</param>
    /// <param name="cache">Keys and values so far; grows by the tokens.</param>
    /// <param name="arena">Holds at least <see cref="PassBytes"/> of <see cref="CachedShape"/>.</param>
    /// <param name="logits">[V], overwritten.</param>
    /// <exception cref="ArgumentException">No tokens, or the cache is full.</exception>
    public void Append(ReadOnlySpan<int> ids, KvCache cache, Arena arena, Span<float> logits)
    {
        ArgumentNullException.ThrowIfNull(cache);
        ArgumentNullException.ThrowIfNull(arena);
        if (ids.IsEmpty || cache.Length + ids.Length > cache.Capacity)
        {
            throw new ArgumentException(
                $"expected 1 to {cache.Capacity - cache.Length} tokens, got {ids.Length}; the cache holds {cache.Length} of {cache.Capacity}");
        }

        var (mark, t, start) = (arena.Used, ids.Length, cache.Length);
        var buffers = PassBuffers.Allocate(_config, _lora, _backend.ActivationType, CachedShape(t), arena);
        var cuKeys = arena.Allocate(DType.I32, 1, 2);
        var positions = new int[t];
        for (var i = 0; i < t; i++)
        {
            positions[i] = start + i;
        }

        _backend.Upload(MemoryMarshal.AsBytes(ids), buffers.Ids);
        _backend.Upload(MemoryMarshal.AsBytes(positions.AsSpan()), buffers.Positions);
        _backend.Upload(MemoryMarshal.AsBytes([0, t]), buffers.CuSeqlens);
        _backend.Upload(MemoryMarshal.AsBytes([0, start + t]), cuKeys);
        _backend.Upload(MemoryMarshal.AsBytes([t - 1]), buffers.TrainedIndex);
        cache.Length = start + t;
        var product = new LoraProduct(_backend, 0, default);
        Forward(buffers, product, Attention(t, start + t), new CachedKeys(cache, start, cuKeys));
        _backend.GatherRows(buffers.FinalNormed, buffers.TrainedIndex, buffers.HeadRows);
        _backend.Linear(buffers.HeadRows, _weights.Head, buffers.Logits);
        DownloadLogits(buffers.Logits, arena, logits);
        arena.Release(mark);
    }

    /// <summary>Logits of every position of a batch, for comparisons; memory grows with T V.</summary>
    /// <param name="batch">Flat run of tokens.</param>
    /// <param name="arena">Holds at least <see cref="PassBytes"/> of the forward shape, and T V activations and floats.</param>
    /// <returns>Row-major [T, V].</returns>
    public float[] Logits(Batch batch, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(arena);
        var mark = arena.Used;
        var buffers = PassBuffers.Allocate(
            _config, _lora, _backend.ActivationType, Shape(batch, logitsChunk: 1, recomputedLayers: 0, backward: false), arena);
        UploadInputs(batch, buffers);
        Forward(buffers, new LoraProduct(_backend, 0, default), Attention(batch.LongestSample, batch.LongestSample));
        var logits = arena.Allocate(_backend.ActivationType, batch.InputIds.Length, _config.VocabularySize);
        _backend.Linear(buffers.FinalNormed, _weights.Head, logits);
        var result = new float[logits.Count];
        DownloadLogits(logits, arena, result);
        arena.Release(mark);
        return result;
    }

    private void DownloadLogits(TensorView logits, Arena arena, Span<float> destination)
    {
        var single = logits;
        if (logits.DType != DType.F32)
        {
            single = arena.Allocate(DType.F32, logits.Rows, logits.Cols);
            _backend.Convert(logits, single);
        }

        _backend.Download(single, MemoryMarshal.AsBytes(destination[..(int)logits.Count]));
    }

    /// <summary>Where attention finds keys and values when they do not come from the pass itself.</summary>
    private readonly record struct CachedKeys(KvCache Cache, int Start, TensorView CuKeys);
}
