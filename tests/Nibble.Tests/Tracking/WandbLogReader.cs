using System.Buffers.Binary;

namespace Nibble.Tests.Tracking;

/// <summary>Reads a <c>.wandb</c> file back, refusing whatever the format does not allow.</summary>
internal static class WandbLogReader
{
    private const int Block = 32768;

    public static IReadOnlyList<byte[]> Records(byte[] file)
    {
        Assert.Equal(Convert.FromHexString("3a572642e1be00"), file[..7]);
        List<byte[]> records = [];
        MemoryStream? open = null;
        int offset = 7;
        while (offset < file.Length)
        {
            int left = Block - (offset % Block);
            if (left < 7)
            {
                Assert.All(file[offset..(offset + left)], value => Assert.Equal(0, value));
                offset += left;
                continue;
            }

            uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(offset));
            int length = BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(offset + 4));
            byte type = file[offset + 6];
            Assert.True(7 + length <= left, $"a chunk at {offset} crosses a block");
            Assert.Equal(BitwiseCrc32(file.AsSpan(offset + 6, 1 + length)), checksum);
            bool continues = type is 3 or 4;
            Assert.Equal(continues, open is not null);
            open ??= new MemoryStream();
            open.Write(file, offset + 7, length);
            if (type is 1 or 4)
            {
                records.Add(open.ToArray());
                open = null;
            }

            offset += 7 + length;
        }

        Assert.Null(open);
        return records;
    }

    /// <summary>The definition, bit by bit, so that it shares nothing with the library the writer uses.</summary>
    private static uint BitwiseCrc32(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320u);
            }
        }

        return ~crc;
    }
}
