using System.Buffers;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>Reads part of a tensor.</summary>
/// <param name="offset">First byte within the tensor.</param>
/// <param name="destination">Filled completely.</param>
public delegate void TensorReader(long offset, Span<byte> destination);

/// <summary>
/// One tensor of a checkpoint as raw bytes, read piece by piece from where it is: a device, a file or an array. Whole
/// models and their optimizer states never stand in host memory.
/// </summary>
/// <param name="Name">Unique name.</param>
/// <param name="DType">Element type, F32 or U8 in practice.</param>
/// <param name="Rows">Rows.</param>
/// <param name="Cols">Columns.</param>
/// <param name="Read">Gives Rows × Cols little-endian elements, row-major.</param>
public sealed record StateTensor(string Name, DType DType, int Rows, int Cols, TensorReader Read)
{
    /// <summary>Most bytes of a tensor on the host at a time.</summary>
    internal const int PieceBytes = 16 << 20;

    /// <summary>A tensor in an array.</summary>
    /// <param name="name">Unique name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="data">Rows × Cols little-endian elements, row-major.</param>
    public StateTensor(string name, DType type, int rows, int cols, ReadOnlyMemory<byte> data)
        : this(name, type, rows, cols, ReaderOf(name, (long)rows * cols * type.Size(), data))
    {
    }

    /// <summary>Bytes in all.</summary>
    public long ByteCount => (long)Rows * Cols * DType.Size();

    /// <summary>All of it, for tensors that fit an array.</summary>
    public byte[] ReadAll()
    {
        var bytes = new byte[ByteCount];
        Read(0, bytes);
        return bytes;
    }

    /// <summary>Gives the bytes in order, a piece at a time.</summary>
    /// <param name="take">Called with the first byte's place and the piece, which is overwritten after the
    /// call.</param>
    public void ForEachPiece(Action<long, ReadOnlyMemory<byte>> take)
    {
        ArgumentNullException.ThrowIfNull(take);
        // Rented: a model has hundreds of tensors, and each would leave a piece to be collected.
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(PieceBytes, ByteCount));
        for (var at = 0L; at < ByteCount; at += PieceBytes)
        {
            var piece = buffer.AsMemory(0, (int)Math.Min(PieceBytes, ByteCount - at));
            Read(at, piece.Span);
            take(at, piece);
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    private static TensorReader ReaderOf(string name, long bytes, ReadOnlyMemory<byte> data) => (offset, destination) =>
    {
        if (data.Length != bytes)
        {
            throw new CheckpointException(name, $"{bytes} bytes", $"{data.Length}");
        }

        data.Span.Slice((int)offset, destination.Length).CopyTo(destination);
    };
}
