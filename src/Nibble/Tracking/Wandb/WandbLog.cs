using System.Buffers.Binary;
using System.IO.Hashing;

namespace Nibble.Tracking.Wandb;

/// <summary>
/// Writer of a <c>.wandb</c> file: a 7-byte header, then records cut into chunks that never cross a block of 32,768
/// bytes counted from the start of the file. Chunk: u32 CRC-32 (IEEE) of type and payload, u16 payload length, u8
/// type, payload; all little-endian. Up to 6 bytes at the end of a block are zero. Source: wandb
/// <c>core/pkg/leveldb/record.go</c>.
/// </summary>
internal sealed class WandbLog : IDisposable
{
    internal const int BlockSize = 32 * 1024;
    internal const int ChunkHeaderSize = 7;

    private const byte Full = 1;
    private const byte First = 2;
    private const byte Middle = 3;
    private const byte Last = 4;

    private readonly Stream _stream;
    private int _offsetInBlock;

    /// <summary>Starts a file; the header is written at once.</summary>
    /// <param name="stream">Empty stream; the log owns it.</param>
    internal WandbLog(Stream stream)
    {
        _stream = stream;
        _stream.Write(FileHeader);
        _offsetInBlock = FileHeader.Length;
    }

    /// <summary>":W&amp;B", magic 0xBEE1, version 0.</summary>
    internal static ReadOnlySpan<byte> FileHeader => [0x3a, 0x57, 0x26, 0x42, 0xe1, 0xbe, 0x00];

    /// <summary>Appends one record and hands it to the operating system.</summary>
    internal void Append(ReadOnlySpan<byte> record)
    {
        bool begun = false;
        do
        {
            int space = BlockSize - _offsetInBlock;
            if (space < ChunkHeaderSize)
            {
                _stream.Write(new byte[space]);
                _offsetInBlock = 0;
                space = BlockSize;
            }

            int length = Math.Min(record.Length, space - ChunkHeaderSize);
            bool ends = length == record.Length;
            WriteChunk((begun, ends) switch
            {
                (false, true) => Full,
                (false, false) => First,
                (true, false) => Middle,
                (true, true) => Last,
            }, record[..length]);
            record = record[length..];
            begun = true;
            if (ends)
            {
                break;
            }
        }
        while (true);

        _stream.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    /// <summary>The 7 bytes before a payload.</summary>
    internal static byte[] ChunkHeader(byte type, ReadOnlySpan<byte> payload)
    {
        Crc32 crc = new();
        crc.Append([type]);
        crc.Append(payload);
        byte[] header = new byte[ChunkHeaderSize];
        BinaryPrimitives.WriteUInt32LittleEndian(header, crc.GetCurrentHashAsUInt32());
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), (ushort)payload.Length);
        header[6] = type;
        return header;
    }

    private void WriteChunk(byte type, ReadOnlySpan<byte> payload)
    {
        _stream.Write(ChunkHeader(type, payload));
        _stream.Write(payload);
        _offsetInBlock += ChunkHeaderSize + payload.Length;
    }
}
