using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Models.Quantization;

/// <summary>
/// Fills <see cref="ModelWeights"/> from safetensors, one piece of one tensor at a time, the next being read meanwhile:
/// host memory stays bounded by twice <see cref="ChunkBytes"/>. Dense linears are quantised on the way; folders that
/// bitsandbytes quantised are read as they are.
/// </summary>
/// <param name="backend">Owner of the weights.</param>
/// <param name="files">The model folder's tensors.</param>
/// <param name="scratch">Device memory, at least <see cref="ScratchBytes"/>; back to its mark afterwards.</param>
public sealed partial class WeightLoader(IBackend backend, SafetensorsIndex files, Arena scratch)
{
    /// <summary>Most bytes of a piece; small enough to stay in a processor's cache from reading to uploading.</summary>
    public const int ChunkBytes = 8 << 20;

    private readonly HashSet<string> _read = [];
    private long _bytesRead;

    /// <summary>Called with the bytes read so far.</summary>
    public IProgress<long>? Progress { get; init; }

    /// <summary>Bytes of scratch that loading takes.</summary>
    /// <param name="config">Architecture.</param>
    public static long ScratchBytes(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var widest = Math.Max(config.IntermediateSize, Math.Max(config.QkvWidth, config.HiddenSize));
        var blocks = QuantizedMatrix.BlockCount((long)widest * Math.Max(config.IntermediateSize, config.HiddenSize));
        return ChunkBytes + (blocks * 4L) + (8 * Arena.Alignment);
    }

    /// <summary>Loads everything.</summary>
    /// <param name="weights">Laid out for this backend.</param>
    /// <exception cref="ModelFormatException">A tensor is missing, has another shape or type, is not
    /// finite, or is unknown.</exception>
    public void Load(ModelWeights weights)
    {
        ArgumentNullException.ThrowIfNull(weights);
        var config = weights.Config;
        var (c, f) = (config.HiddenSize, config.IntermediateSize);
        Dense("model.embed_tokens.weight", weights.Embedding);
        for (var l = 0; l < config.Layers; l++)
        {
            var (layer, prefix) = (weights.Layers[l], $"model.layers.{l.ToString(CultureInfo.InvariantCulture)}");
            Stack(
                layer.Qkv, c, ($"{prefix}.self_attn.q_proj", config.QueryWidth),
                ($"{prefix}.self_attn.k_proj", config.KvWidth), ($"{prefix}.self_attn.v_proj", config.KvWidth));
            Stack(layer.Output, config.QueryWidth, ($"{prefix}.self_attn.o_proj", c));
            Stack(layer.GateUp, c, ($"{prefix}.mlp.gate_proj", f), ($"{prefix}.mlp.up_proj", f));
            Stack(layer.Down, f, ($"{prefix}.mlp.down_proj", c));
            Dense($"{prefix}.input_layernorm.weight", layer.InputNorm);
            Dense($"{prefix}.post_attention_layernorm.weight", layer.PostAttentionNorm);
            if (config.QkNorm)
            {
                Dense($"{prefix}.self_attn.q_norm.weight", layer.QueryNorm);
                Dense($"{prefix}.self_attn.k_norm.weight", layer.KeyNorm);
            }
        }

        Dense("model.norm.weight", weights.FinalNorm);
        if (!config.TiedHead)
        {
            Dense("lm_head.weight", weights.Head.Dense);
        }

        RefuseUnknown(config);
    }

    private void Stack(FrozenLinear linear, int cols, params ReadOnlySpan<(string Name, int Rows)> modules)
    {
        var row = 0;
        for (var i = 0; i < modules.Length; i++)
        {
            var (name, rows) = modules[i];
            if (linear.Quantized.Length == 0)
            {
                Dense($"{name}.weight", linear.Dense.RowRange(row, rows));
            }
            else
            {
                linear.Quantized[i] = files.Contains($"{name}.weight.absmax")
                    ? ReadQuantized($"{name}.weight", linear.Quantized[i])
                    : Quantize($"{name}.weight", linear.Quantized[i], cols);
            }

            if (!linear.Bias.IsNone)
            {
                Dense($"{name}.bias", linear.Bias.ColRange(row, rows));
            }

            row += rows;
        }
    }

    private void Dense(string name, TensorView destination)
    {
        var (file, entry) = Find(name);
        var shape = destination.Rows == 1 ? (long[])[destination.Cols] : [destination.Rows, destination.Cols];
        RequireShape(file, entry, shape);
        var type = FloatType(file, entry);
        Chunks(file, entry, type, destination.Cols, (chunk, firstRow, rows, bytes) =>
        {
            var target = destination.RowRange(firstRow, rows);
            if (type == target.DType && target.IsContiguous)
            {
                backend.Upload(bytes, target);
                return;
            }

            backend.Upload(bytes, chunk);
            backend.Convert(chunk, target);
        });
    }

    private QuantizedMatrix Quantize(string name, QuantizedMatrix matrix, int cols)
    {
        var (file, entry) = Find(name);
        RequireShape(file, entry, [matrix.Rows, cols]);
        var type = FloatType(file, entry);
        var mark = scratch.Used;
        var absMax = matrix.IsNested
            ? scratch.Allocate(DType.F32, 1, matrix.AbsMax.Cols)
            : matrix.AbsMax;
        Chunks(file, entry, type, cols, (chunk, firstRow, rows, bytes) =>
        {
            backend.Upload(bytes, chunk);
            var (first, count) = ((long)firstRow * cols, (long)rows * cols);
            backend.Quantize4Bit(
                chunk,
                matrix.Code,
                matrix.Codes.ColRange((int)(first / 2), (int)((count + 1) / 2)),
                absMax.ColRange((int)(first / QuantizedMatrix.BlockSize), QuantizedMatrix.BlockCount(count)));
        });
        var offset = 0f;
        if (matrix.IsNested)
        {
            offset = backend.QuantizeAbsMax(absMax, matrix.AbsMax, matrix.NestedAbsMax);
            backend.Upload(MemoryMarshal.AsBytes(CodeTables.Signed), matrix.NestedMap);
        }

        scratch.Release(mark);
        return matrix with { Offset = offset };
    }

    private delegate void ChunkAction(TensorView chunk, int firstRow, int rows, ReadOnlySpan<byte> bytes);

    // Whole rows whose values fill whole 4-bit blocks, so that a chunk quantises as the matrix would.
    private void Chunks(SafetensorsFile file, SafetensorsEntry entry, DType type, int cols, ChunkAction action)
    {
        var totalRows = (int)(entry.Count / Math.Max(1, cols));
        var rowBytes = (long)cols * type.Size();
        var unit = 1;
        while ((long)unit * cols % QuantizedMatrix.BlockSize != 0)
        {
            unit *= 2;
        }

        var rowsPerChunk = (int)Math.Clamp(
            ChunkBytes / Math.Max(1, rowBytes) / unit * unit, Math.Min(unit, totalRows), totalRows);
        var mark = scratch.Used;
        var staging = scratch.Allocate(type, rowsPerChunk, cols);
        var (buffer, next) = (Rent(rowsPerChunk * rowBytes), Rent(rowsPerChunk * rowBytes));
        var reading = Task.CompletedTask;
        try
        {
            reading = Read(0, buffer);
            for (var row = 0; row < totalRows; row += rowsPerChunk)
            {
                reading.GetAwaiter().GetResult();
                reading = Read(row + rowsPerChunk, next);
                var rows = Math.Min(rowsPerChunk, totalRows - row);
                var bytes = buffer.AsSpan(0, (int)(rows * rowBytes));
                FiniteScan.Require(bytes, type, file.Path, entry.Name, (long)row * cols);
                action(staging.RowRange(0, rows), row, rows, bytes);
                _bytesRead += bytes.Length;
                Progress?.Report(_bytesRead);
                (buffer, next) = (next, buffer);
            }
        }
        finally
        {
            // After an error no read may still fill a buffer that is given back; what it meets itself does not matter.
            Task.WaitAny(reading);
            ArrayPool<byte>.Shared.Return(buffer);
            ArrayPool<byte>.Shared.Return(next);
            scratch.Release(mark);
        }

        static byte[] Rent(long bytes) => ArrayPool<byte>.Shared.Rent(checked((int)bytes));

        Task Read(int row, byte[] target)
        {
            var bytes = (int)(Math.Min(rowsPerChunk, totalRows - row) * rowBytes);
            return bytes <= 0
                ? Task.CompletedTask
                : Task.Run(() => file.Read(entry, row * rowBytes, target.AsSpan(0, bytes)));
        }
    }

    private (SafetensorsFile File, SafetensorsEntry Entry) Find(string name)
    {
        if (!files.Contains(name))
        {
            throw new ModelFormatException(
                $"{files.Folder}: tensor {name}: expected by config.json, "
                + $"found in none of {files.Files.Count} safetensors file(s).");
        }

        _read.Add(name);
        return files.Get(name);
    }

    private static void RequireShape(SafetensorsFile file, SafetensorsEntry entry, long[] expected)
    {
        if (!entry.Shape.AsSpan().SequenceEqual(expected))
        {
            throw new ModelFormatException(
                $"{file.Path}: tensor {entry.Name}: expected shape [{string.Join(", ", expected)}] from config.json, "
                + $"found [{string.Join(", ", entry.Shape)}].");
        }
    }

    private static DType FloatType(SafetensorsFile file, SafetensorsEntry entry) =>
        entry.DType is DType.F32 or DType.BF16 or DType.F16
            ? entry.DType.Value
            : throw new ModelFormatException(
                $"{file.Path}: tensor {entry.Name}: expected F32, BF16 or F16, found {entry.Type.Name()}.");

    private void RefuseUnknown(ModelConfig config)
    {
        foreach (var name in files.Names)
        {
            var known = _read.Contains(name)
                || name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
                || (config.TiedHead && name == "lm_head.weight");
            if (!known)
            {
                throw new ModelFormatException(
                    $"{files.Folder}: tensor {name}: not part of a {config.Family} model with this config.json. "
                    + "The folder and its config do not belong together.");
            }
        }
    }
}
