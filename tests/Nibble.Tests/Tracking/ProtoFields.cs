using System.Buffers.Binary;
using System.Text;

namespace Nibble.Tests.Tracking;

/// <summary>A protobuf message taken apart by field number, written against the wire format alone.</summary>
internal sealed class ProtoFields
{
    private readonly List<(int Number, object Value)> _fields = [];

    public ProtoFields(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            ulong tag = Varint(ref bytes);
            object value;
            switch (tag & 7)
            {
                case 0:
                    value = (long)Varint(ref bytes);
                    break;
                case 1:
                    value = BinaryPrimitives.ReadDoubleLittleEndian(bytes);
                    bytes = bytes[8..];
                    break;
                case 5:
                    value = BinaryPrimitives.ReadSingleLittleEndian(bytes);
                    bytes = bytes[4..];
                    break;
                case 2:
                    int length = (int)Varint(ref bytes);
                    value = bytes[..length].ToArray();
                    bytes = bytes[length..];
                    break;
                default:
                    throw new InvalidDataException($"wire type {tag & 7}");
            }

            _fields.Add(((int)(tag >> 3), value));
        }
    }

    public IEnumerable<int> Numbers => _fields.Select(entry => entry.Number);

    public bool Has(int number) => _fields.Exists(field => field.Number == number);

    public long Integer(int number) => Has(number) ? (long)Single(number) : 0;

    public double Double(int number) => (double)Single(number);

    public float Float(int number) => (float)Single(number);

    public string Text(int number) => Has(number) ? Encoding.UTF8.GetString((byte[])Single(number)) : string.Empty;

    public IReadOnlyList<string> Texts(int number) =>
        [.. All(number).Select(value => Encoding.UTF8.GetString((byte[])value))];

    public ProtoFields Message(int number) => new((byte[])Single(number));

    public IReadOnlyList<ProtoFields> Messages(int number) =>
        [.. All(number).Select(value => new ProtoFields((byte[])value))];

    private object Single(int number) => Assert.Single(All(number));

    private IEnumerable<object> All(int number) =>
        _fields.Where(field => field.Number == number).Select(field => field.Value);

    private static ulong Varint(ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte next = bytes[0];
            bytes = bytes[1..];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }
    }
}
