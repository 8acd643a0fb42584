using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>A tensor of a GGUF file.</summary>
/// <param name="Name">Unique name.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Cols">Columns: the dimension that varies fastest, which the file names first.</param>
/// <param name="Data">Little-endian elements, row-major.</param>
internal sealed record GgufTensor(string Name, int Rows, int Cols, ReadOnlyMemory<byte> Data);

/// <summary>
/// A GGUF file of version 3: header, keys, tensor table, data aligned to 32 bytes. Source: ggml-org/ggml
/// <c>docs/gguf.md</c>.
/// </summary>
internal static class GgufFile
{
    private const uint Version = 3;
    private const int Alignment = 32;

    /// <summary>Element types by their number in the file.</summary>
    /// <param name="type">F32, F16 or BF16.</param>
    public static uint TypeNumber(SafetensorsType type) => type switch
    {
        SafetensorsType.F32 => 0,
        SafetensorsType.F16 => 1,
        SafetensorsType.BF16 => 30,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "expected F32, F16 or BF16"),
    };

    /// <summary>Writes a file; it appears complete or not at all.</summary>
    /// <param name="path">The final name.</param>
    /// <param name="keys">Keys with values: string, uint or float.</param>
    /// <param name="type">Type of every tensor.</param>
    /// <param name="tensors">Tensors, in the order of the file.</param>
    /// <exception cref="StorageException">The file could not be written.</exception>
    public static void Write(
        string path, IReadOnlyList<(string Key, object Value)> keys, SafetensorsType type,
        IReadOnlyList<GgufTensor> tensors)
    {
        var header = new ArrayBufferWriter<byte>();
        header.Write("GGUF"u8);
        Number32(header, Version);
        Number64(header, (ulong)tensors.Count);
        Number64(header, (ulong)keys.Count);
        foreach (var (key, value) in keys)
        {
            Text(header, key);
            Value(header, value);
        }

        var offset = 0L;
        foreach (var tensor in tensors)
        {
            Text(header, tensor.Name);
            Number32(header, 2);
            Number64(header, (ulong)tensor.Cols);
            Number64(header, (ulong)tensor.Rows);
            Number32(header, TypeNumber(type));
            Number64(header, (ulong)offset);
            offset += Aligned(tensor.Data.Length);
        }

        using var file = AtomicFile.Create(path);
        file.Write(0, header.WrittenSpan);
        var position = Aligned(header.WrittenCount);
        file.Write(header.WrittenCount, new byte[position - header.WrittenCount]);
        foreach (var tensor in tensors)
        {
            file.Write(position, tensor.Data.Span);
            var next = position + Aligned(tensor.Data.Length);

            // The last tensor is padded too: readers map whole aligned pieces.
            file.Write(position + tensor.Data.Length, new byte[next - position - tensor.Data.Length]);
            position = next;
        }

        file.Commit();
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Value(ArrayBufferWriter<byte> header, object value)
    {
        switch (value)
        {
            case uint number:
                Number32(header, 4);
                Number32(header, number);
                break;
            case float number:
                Number32(header, 6);
                Number32(header, BitConverter.SingleToUInt32Bits(number));
                break;
            case string text:
                Number32(header, 8);
                Text(header, text);
                break;
            default:
                throw new ArgumentException($"no GGUF value for {value.GetType().Name}", nameof(value));
        }
    }

    private static void Text(ArrayBufferWriter<byte> header, string text)
    {
        Number64(header, (ulong)Encoding.UTF8.GetByteCount(text));
        header.Write(Encoding.UTF8.GetBytes(text));
    }

    private static void Number32(ArrayBufferWriter<byte> header, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header.GetSpan(sizeof(uint)), value);
        header.Advance(sizeof(uint));
    }

    private static void Number64(ArrayBufferWriter<byte> header, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(header.GetSpan(sizeof(ulong)), value);
        header.Advance(sizeof(ulong));
    }
}
