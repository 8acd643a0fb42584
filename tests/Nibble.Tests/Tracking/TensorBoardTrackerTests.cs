using System.Buffers.Binary;
using Nibble.Tracking;
using Nibble.Tracking.TensorBoard;

namespace Nibble.Tests.Tracking;

public sealed class TensorBoardTrackerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FixedClock _clock = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Crc32C_CheckString_IsThePublishedValue()
    {
        uint crc = TfRecordWriter.Crc32C("123456789"u8);
        Assert.Equal(0xe3069283u, crc);
        Assert.Equal(0xc78ab0e5u, TfRecordWriter.Mask(crc));
    }

    [Fact]
    public void VersionEvent_IsThePublishedVector() => Assert.Equal(
        "1800000000000000A37F4B2209000000000000F03F1A0D627261696E2E4576656E743A3286BF577A",
        Framed(TensorBoardTracker.VersionEvent(1.0)));

    [Fact]
    public void ScalarEvent_IsThePublishedVector() => Assert.Equal(
        "200000000000000029EDA950090000000000000040100A2A130A110A0A747261696E2F6C6F7373150000C03FB5A7A5F1",
        Framed(TensorBoardTracker.ScalarEvent(2.0, 10, "train/loss", 1.5)));

    [Fact]
    public void ScalarEvent_Zero_IsStillWritten()
    {
        ProtoFields zero = new(TensorBoardTracker.ScalarEvent(2.0, 0, "train/loss", 0));
        Assert.Equal(0f, zero.Message(5).Message(1).Float(2));
    }

    [Fact]
    public void Run_Complete_IsInTheTrainersPlaceAndReadsBack()
    {
        TensorBoardTracker tracker = new(_folder.Path, _clock);
        tracker.Start(Runs.Of());
        _clock.Advance(1);
        tracker.Log(10, 0.5, [new(MetricNames.TrainLoss, 1.5), new(MetricNames.LearningRate, 2e-4)]);
        tracker.Summary([new("train_runtime", 3)]);
        tracker.Finish(0);

        Assert.Equal(
            Path.Combine(_folder.Path, "runs", "Mar04_14-00-00_" + Environment.MachineName), tracker.LogDirectory);
        string path = Assert.Single(Directory.GetFiles(tracker.LogDirectory));
        Assert.Equal(
            $"events.out.tfevents.1772625600.{Environment.MachineName}.{Environment.ProcessId}.0",
            Path.GetFileName(path));

        List<ProtoFields> events = Events(File.ReadAllBytes(path));
        Assert.Equal("brain.Event:2", events[0].Text(3));
        Assert.Equal(1772625600, events[0].Double(1));
        ProtoFields text = events[1].Message(5).Message(1);
        Assert.Equal("args/text_summary", text.Text(1));
        Assert.Contains("| learning_rate | 0.0002 |", text.Message(8).Text(8), StringComparison.Ordinal);
        Assert.Equal("text", text.Message(9).Message(1).Text(1));
        Assert.Equal(
            [
                (10L, "train/loss", 1.5f), (10L, "train/learning_rate", 2e-4f), (10L, "train/epoch", 0.5f),
                (10L, "train/train_runtime", 3f),
            ],
            events.Skip(2).Select(Scalar));
        Assert.Equal(1772625601, events[2].Double(1));
    }

    [Fact]
    public void Start_TwiceInOneSecond_WritesTwoFiles()
    {
        using TensorBoardTracker first = new(_folder.Path, _clock);
        using TensorBoardTracker second = new(_folder.Path, _clock);
        first.Start(Runs.Of());
        second.Start(Runs.Of());
        Assert.Equal(2, Directory.GetFiles(first.LogDirectory).Length);
    }

    [Fact]
    public void Log_WithoutFinish_IsOnDisk()
    {
        using TensorBoardTracker tracker = new(_folder.Path, _clock);
        tracker.Start(Runs.Of());
        tracker.Log(1, 0.1, [new(MetricNames.TrainLoss, 2)]);
        using FileStream file = new(
            Assert.Single(Directory.GetFiles(tracker.LogDirectory)),
            FileMode.Open,
            FileAccess.Read,
            FileShare.ReadWrite);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        Assert.Equal(4, Events(bytes).Count);
    }

    private static (long Step, string Tag, float Value) Scalar(ProtoFields scalar)
    {
        ProtoFields value = scalar.Message(5).Message(1);
        return (scalar.Integer(2), value.Text(1), value.Float(2));
    }

    private static string Framed(byte[] data)
    {
        MemoryStream stream = new();
        TfRecordWriter.Append(stream, data);
        return Convert.ToHexString(stream.ToArray());
    }

    private static List<ProtoFields> Events(byte[] file)
    {
        List<ProtoFields> events = [];
        for (int offset = 0; offset < file.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(offset));
            byte[] data = file[(offset + 12)..(offset + 12 + length)];
            uint lengthCrc = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(offset + 8));
            Assert.Equal(MaskedCrc(file.AsSpan(offset, 8)), lengthCrc);
            Assert.Equal(MaskedCrc(data), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(offset + 12 + length)));
            events.Add(new ProtoFields(data));
            offset += 12 + length + 4;
        }

        return events;
    }

    /// <summary>The definition, bit by bit, so that it shares nothing with the instruction the writer uses.</summary>
    private static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78u);
            }
        }

        crc = ~crc;
        return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    }
}
