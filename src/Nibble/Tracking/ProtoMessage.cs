using Google.Protobuf;

namespace Nibble.Tracking;

/// <summary>
/// One protobuf message, field by field, in the order of the calls. As proto3 does, plain fields at their default are
/// left out; members of a <c>oneof</c> and submessages are always written.
/// </summary>
internal sealed class ProtoMessage : IDisposable
{
    private readonly MemoryStream _bytes = new();
    private readonly CodedOutputStream _output;

    internal ProtoMessage() => _output = new CodedOutputStream(_bytes, leaveOpen: true);

    /// <inheritdoc/>
    public void Dispose()
    {
        _output.Dispose();
        _bytes.Dispose();
    }

    internal ProtoMessage Text(int field, string? value)
    {
        if (!string.IsNullOrEmpty(value))
        {
            _output.WriteTag(field, WireFormat.WireType.LengthDelimited);
            _output.WriteString(value);
        }

        return this;
    }

    internal ProtoMessage Texts(int field, IEnumerable<string> values)
    {
        foreach (string value in values)
        {
            _output.WriteTag(field, WireFormat.WireType.LengthDelimited);
            _output.WriteString(value);
        }

        return this;
    }

    internal ProtoMessage Integer(int field, long value)
    {
        if (value != 0)
        {
            _output.WriteTag(field, WireFormat.WireType.Varint);
            _output.WriteInt64(value);
        }

        return this;
    }

    internal ProtoMessage Flag(int field, bool value) => Integer(field, value ? 1 : 0);

    internal ProtoMessage Number(int field, double value)
    {
        _output.WriteTag(field, WireFormat.WireType.Fixed64);
        _output.WriteDouble(value);
        return this;
    }

    internal ProtoMessage Number(int field, float value)
    {
        _output.WriteTag(field, WireFormat.WireType.Fixed32);
        _output.WriteFloat(value);
        return this;
    }

    internal ProtoMessage Message(int field, Action<ProtoMessage> write)
    {
        using ProtoMessage inner = new();
        write(inner);
        _output.WriteTag(field, WireFormat.WireType.LengthDelimited);
        _output.WriteBytes(ByteString.CopyFrom(inner.ToArray()));
        return this;
    }

    internal ProtoMessage Timestamp(int field, DateTimeOffset time) => Message(field, message =>
    {
        long ticks = (time - DateTimeOffset.UnixEpoch).Ticks;
        message.Integer(1, ticks / TimeSpan.TicksPerSecond);
        message.Integer(2, ticks % TimeSpan.TicksPerSecond * 100);
    });

    internal byte[] ToArray()
    {
        _output.Flush();
        return _bytes.ToArray();
    }
}
