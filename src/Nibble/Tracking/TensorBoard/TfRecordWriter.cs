using System.Buffers.Binary;
using System.Numerics;

namespace Nibble.Tracking.TensorBoard;

/// <summary>
/// TFRecord framing: u64 length, masked CRC-32C of the length's 8 bytes, data, masked CRC-32C of the data;
/// little-endian. Source: tensorboard <c>summary/writer/record_writer.py</c>.
/// </summary>
internal static class TfRecordWriter
{
    internal static void Append(Stream stream, ReadOnlySpan<byte> data)
    {
        byte[] record = new byte[12 + data.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), Mask(Crc32C(record.AsSpan(0, 8))));
        data.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + data.Length), Mask(Crc32C(data)));
        stream.Write(record);
    }

    /// <summary>Castagnoli CRC, reflected 0x82F63B78, initial and final xor all ones.</summary>
    internal static uint Crc32C(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return ~crc;
    }

    /// <summary>
    /// Rotated by 15 bits and moved, so that a CRC stored inside data does not disturb the data's own.
    /// </summary>
    internal static uint Mask(uint crc) => unchecked(BitOperations.RotateRight(crc, 15) + 0xa282ead8u);
}
