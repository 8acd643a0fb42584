using System.Runtime.InteropServices;
using Nibble.Data;
using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Models.Decoder;

public sealed partial class DecoderModel
{
    /// <summary>Bytes that <see cref="Append"/> takes from its arena.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="lora">Adapters (a counting layout will do), or null.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="tokens">Most tokens of a pass.</param>
    /// <param name="sequences">Most sequences of a pass.</param>
    public static long AppendBytes(ModelConfig config, LoraAdapters? lora, DType activation, int tokens, int sequences)
    {
        ArgumentNullException.ThrowIfNull(config);
        var arena = Arena.Counting();
        _ = CachedPass.Allocate(config, lora, activation, tokens, sequences, (2 * sequences) + 1, arena);
        arena.Allocate(DType.F32, sequences, config.VocabularySize);
        return arena.Peak;
    }

    /// <summary>Appends tokens to sequences and gives, for each, the logits that predict its next token.</summary>
    /// <param name="ids">Tokens after those in the cache, run after run.</param>
    /// <param name="runs">Whose they are; sequences in rising order, each once.</param>
    /// <param name="cache">Keys and values so far; its sequences grow by their tokens.</param>
    /// <param name="arena">Holds at least <see cref="AppendBytes"/>.</param>
    /// <param name="logits">[runs, V], overwritten.</param>
    /// <exception cref="ArgumentException">No tokens, sequences out of order, or more tokens than a
    /// sequence has room for.</exception>
    public void Append(
        ReadOnlySpan<int> ids, ReadOnlySpan<CachedRun> runs, KvCache cache, Arena arena, Span<float> logits)
    {
        ArgumentNullException.ThrowIfNull(cache);
        ArgumentNullException.ThrowIfNull(arena);
        CheckRuns(ids, runs, cache);
        var (positions, rows, last) = (new int[ids.Length], new int[ids.Length], new int[runs.Length]);
        // Rows between the keys of two runs (other sequences, and room to grow) become samples without a query.
        var (cuQueries, cuKeys) = (new List<int>(2 * runs.Length) { 0 }, new List<int>(2 * runs.Length) { 0 });
        var (at, longestQuery, longestKey) = (0, 0, 0);
        for (var r = 0; r < runs.Length; r++)
        {
            var (start, length) = (cache.Start(runs[r].Sequence), cache.Length(runs[r].Sequence));
            if (start > cuKeys[^1])
            {
                cuQueries.Add(at);
                cuKeys.Add(start);
            }

            for (var i = 0; i < runs[r].Tokens; i++, at++)
            {
                (positions[at], rows[at]) = (length + i, start + length + i);
            }

            cache.Grow(runs[r]);
            last[r] = at - 1;
            cuQueries.Add(at);
            cuKeys.Add(start + length + runs[r].Tokens);
            longestQuery = Math.Max(longestQuery, runs[r].Tokens);
            longestKey = Math.Max(longestKey, length + runs[r].Tokens);
        }

        var mark = arena.Used;
        var pass = CachedPass.Allocate(
            _config, _lora, _backend.ActivationType, ids.Length, runs.Length, cuKeys.Count - 1, arena);
        var buffers = pass.Buffers;
        _backend.Upload(MemoryMarshal.AsBytes(ids), buffers.Ids);
        _backend.Upload(MemoryMarshal.AsBytes(positions.AsSpan()), buffers.Positions);
        _backend.Upload(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(cuQueries)), buffers.CuSeqlens);
        _backend.Upload(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(cuKeys)), pass.CuKeys);
        _backend.Upload(MemoryMarshal.AsBytes(rows.AsSpan()), pass.Rows);
        _backend.Upload(MemoryMarshal.AsBytes(last.AsSpan()), buffers.TrainedIndex);
        Forward(
            buffers, new LoraProduct(_backend, 0, default), Attention(longestQuery, longestKey),
            new CachedKeys(cache, cuKeys[^1], pass.Rows, pass.CuKeys));
        _backend.GatherRows(buffers.FinalNormed, buffers.TrainedIndex, buffers.HeadRows);
        _backend.Linear(buffers.HeadRows, _weights.Head, buffers.Logits);
        DownloadLogits(buffers.Logits, arena, logits);
        arena.Release(mark);
    }

    /// <summary>Logits of every position of a batch, for comparisons; memory grows with T V.</summary>
    /// <param name="batch">Flat run of tokens.</param>
    /// <param name="arena">Holds at least <see cref="PassBytes"/> of the forward shape, and
    /// T V activations and floats.</param>
    /// <returns>Row-major [T, V].</returns>
    public float[] Logits(Batch batch, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(arena);
        var mark = arena.Used;
        var buffers = PassBuffers.Allocate(
            _config, _lora, _backend.ActivationType,
            Shape(batch, logitsChunk: 1, recomputedLayers: 0, backward: false), arena);
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

    private static void CheckRuns(ReadOnlySpan<int> ids, ReadOnlySpan<CachedRun> runs, KvCache cache)
    {
        var (previous, tokens) = (-1, 0);
        foreach (var (sequence, count) in runs)
        {
            if (sequence <= previous || sequence >= cache.Sequences)
            {
                throw new ArgumentException(
                    $"expected sequences in rising order below {cache.Sequences}, got {sequence} after {previous}",
                    nameof(runs));
            }

            var room = cache.Capacity(sequence) - cache.Length(sequence);
            if (count < 1 || count > room)
            {
                throw new ArgumentException(
                    $"sequence {sequence}: expected 1 to {room} tokens, got {count}; "
                    + $"the cache holds {cache.Length(sequence)} of {cache.Capacity(sequence)}", nameof(runs));
            }

            (previous, tokens) = (sequence, tokens + count);
        }

        if (tokens == 0 || tokens != ids.Length)
        {
            throw new ArgumentException(
                $"expected as many ids as the runs have tokens ({tokens}) and at least one, got {ids.Length}",
                nameof(ids));
        }
    }

    /// <summary>Where attention finds keys and values when they do not come from the pass itself.</summary>
    /// <param name="Cache">Cache.</param>
    /// <param name="Count">Its rows up to the last that is read.</param>
    /// <param name="Rows">I32 [1, T]: where the pass's own keys and values go.</param>
    /// <param name="CuKeys">I32 [1, samples + 1]: boundaries of the keys.</param>
    private readonly record struct CachedKeys(KvCache Cache, int Count, TensorView Rows, TensorView CuKeys);

    // What a cached pass takes from its arena.
    private readonly record struct CachedPass(PassBuffers Buffers, TensorView Rows, TensorView CuKeys)
    {
        public static CachedPass Allocate(
            ModelConfig config, LoraAdapters? lora, DType activation, int tokens, int sequences, int samples,
            Arena arena) => new(
            PassBuffers.Allocate(
                config, lora, activation,
                new PassShape(tokens, samples, sequences, sequences, 0, Backward: false), arena),
            arena.Allocate(DType.I32, 1, tokens),
            arena.Allocate(DType.I32, 1, samples + 1));
    }
}
