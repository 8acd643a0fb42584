using CsCheck;
using Nibble.Tracking.Wandb;

namespace Nibble.Tests.Tracking;

public sealed class WandbLogTests
{
    [Fact]
    public void FileHeader_IsThePublishedBytes() =>
        Assert.Equal("3A572642E1BE00", Convert.ToHexString(WandbLog.FileHeader));

    [Fact]
    public void ChunkHeader_Hello_IsThePublishedVector() =>
        Assert.Equal("9D23AC8A050001", Convert.ToHexString(WandbLog.ChunkHeader(1, "hello"u8)));

    [Fact]
    public void HeaderRecord_IsThePublishedVector()
    {
        byte[] record = new WandbRecords().Header("0.19.0", "0.1");
        Assert.Equal("0801AA010F0A0D0A06302E31392E301203302E31", Convert.ToHexString(record));
        Assert.Equal("6DCF7D4E140001", Convert.ToHexString(WandbLog.ChunkHeader(1, record)));
    }

    [Fact]
    public void HistoryRecord_IsThePublishedVector()
    {
        WandbRecords records = new();
        records.Header("0.19.0", "0.1");
        byte[] record = records.History(0, [new("train/loss", "1.5"), new("_step", "0")]);
        Assert.Equal(
            "080212230A12120A747261696E2F6C6F7373820103312E350A0B12055F737465708201013012" + "00",
            Convert.ToHexString(record));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Append_WithFewBytesLeftInTheBlock_ReadsBack(int left)
    {
        // The first record ends so that exactly this many bytes of block 0 remain.
        byte[] first = Filled(WandbLog.BlockSize - 7 - WandbLog.ChunkHeaderSize - left, 1);
        byte[] second = Filled(100, 2);
        byte[] file = Write(first, second);
        Assert.Equal([first, second], WandbLogReader.Records(file));
        int expected = left switch
        {
            // Too small for a chunk header: zeros, then one chunk in the next block.
            < 7 => WandbLog.BlockSize + 7 + 100,
            // The header fits: a first chunk of what is left, and the rest in the next block.
            _ => WandbLog.BlockSize + 7 + 100 - (left - 7),
        };
        Assert.Equal(expected, file.Length);
    }

    [Fact]
    public void Append_RecordOfSeveralBlocks_HasFirstMiddleLast()
    {
        byte[] record = Filled(3 * WandbLog.BlockSize, 7);
        byte[] file = Write(record);
        Assert.Equal([record], WandbLogReader.Records(file));
        Assert.Equal(2, file[7 + 6]);
        Assert.Equal(3, file[WandbLog.BlockSize + 6]);
        Assert.Equal(3, file[(2 * WandbLog.BlockSize) + 6]);
        Assert.Equal(4, file[(3 * WandbLog.BlockSize) + 6]);
    }

    [Fact]
    public void Append_AnySizes_ReadsBack() => Gen.Int[0, 70_000].Array[1, 6].Sample(
        sizes =>
        {
            byte[][] records = [.. sizes.Select((size, index) => Filled(size, (byte)(index + 1)))];
            IReadOnlyList<byte[]> read = WandbLogReader.Records(Write(records));
            Assert.Equal(records.Length, read.Count);

            // Spans are compared at once; a comparison element by element takes most of the test's time.
            Assert.All(records.Zip(read), pair => Assert.True(pair.First.AsSpan().SequenceEqual(pair.Second)));
        },
        iter: 30);

    private static byte[] Filled(int length, byte value)
    {
        byte[] bytes = new byte[length];
        Array.Fill(bytes, value);
        return bytes;
    }

    private static byte[] Write(params byte[][] records)
    {
        MemoryStream stream = new();
        using (WandbLog log = new(stream))
        {
            foreach (byte[] record in records)
            {
                log.Append(record);
            }
        }

        return stream.ToArray();
    }
}
