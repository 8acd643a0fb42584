using Nibble.Data;
using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>Takes the logits of some trained tokens of a batch.</summary>
/// <param name="first">Index of the first among <see cref="Batch.TrainedTargets"/>.</param>
/// <param name="logits">[count, V], row-major; overwritten after the call.</param>
public delegate void LogitsReader(int first, ReadOnlyMemory<float> logits);

public sealed partial class DecoderModel
{
    /// <summary>Bytes that <see cref="ReadLogits"/> takes from its arena.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="lora">Adapters (a counting layout will do), or null.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="shape">Forward shape of the batch, its chunk the positions read at a time.</param>
    public static long ReadLogitsBytes(ModelConfig config, LoraAdapters? lora, DType activation, in PassShape shape)
    {
        ArgumentNullException.ThrowIfNull(config);
        var arena = Arena.Counting();
        PassBuffers.Allocate(config, lora, activation, shape, arena);
        arena.Allocate(DType.F32, Math.Max(1, shape.LogitsChunk), config.VocabularySize);
        return arena.Peak;
    }

    /// <summary>Gives the logits that predict a batch's trained tokens, a chunk of positions at a time.</summary>
    /// <param name="batch">Flat run of tokens.</param>
    /// <param name="chunk">Positions at a time.</param>
    /// <param name="arena">Holds at least <see cref="ReadLogitsBytes"/>; back to its mark on return.</param>
    /// <param name="read">Called in the order of the tokens.</param>
    public void ReadLogits(Batch batch, int chunk, Arena arena, LogitsReader read)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(arena);
        ArgumentNullException.ThrowIfNull(read);
        if (batch.TrainedTokens == 0)
        {
            return;
        }

        var mark = arena.Used;
        var buffers = PassBuffers.Allocate(
            _config, _lora, _backend.ActivationType, Shape(batch, chunk, recomputedLayers: 0, backward: false), arena);
        UploadInputs(batch, buffers);
        Forward(buffers, new LoraProduct(_backend, 0, default), Attention(batch.LongestSample, batch.LongestSample));
        var rows = buffers.Logits.Rows;
        var host = new float[checked(rows * _config.VocabularySize)];
        for (var at = 0; at < batch.TrainedTokens; at += rows)
        {
            var count = Math.Min(rows, batch.TrainedTokens - at);
            var logits = buffers.Logits.RowRange(0, count);
            var normed = buffers.HeadRows.RowRange(0, count);
            _backend.GatherRows(buffers.FinalNormed, buffers.TrainedIndex.ColRange(at, count), normed);
            _backend.Linear(normed, _weights.Head, logits);
            var inner = arena.Used;
            DownloadLogits(logits, arena, host);
            arena.Release(inner);
            read(at, host.AsMemory(0, count * _config.VocabularySize));
        }

        arena.Release(mark);
    }
}
