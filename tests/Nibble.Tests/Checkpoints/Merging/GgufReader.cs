using System.Runtime.InteropServices;
using System.Text;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints.Merging;

/// <summary>Reads a GGUF file from its description alone, refusing whatever that forbids.</summary>
internal sealed class GgufReader
{
    private readonly byte[] _bytes;
    private int _at;

    public GgufReader(string path)
    {
        _bytes = File.ReadAllBytes(path);
        Assert.Equal("GGUF", Encoding.ASCII.GetString(_bytes, 0, 4));
        _at = 4;
        Assert.Equal(3u, Take<uint>());
        var (tensors, keys) = (Take<ulong>(), Take<ulong>());
        for (var i = 0UL; i < keys; i++)
        {
            var key = Text();
            Keys.Add(key, Take<uint>() switch
            {
                4 => Take<uint>(),
                6 => Take<float>(),
                8 => Text(),
                var other => throw new InvalidDataException($"{key}: value type {other}"),
            });
        }

        var infos = new List<(string Name, int Cols, int Rows, uint Type, ulong Offset)>();
        for (var i = 0UL; i < tensors; i++)
        {
            var name = Text();
            Assert.Equal(2u, Take<uint>());
            infos.Add((name, (int)Take<ulong>(), (int)Take<ulong>(), Take<uint>(), Take<ulong>()));
        }

        var data = (_at + 31) / 32 * 32;
        Assert.All(_bytes[_at..data], b => Assert.Equal(0, b));
        var expected = 0;
        foreach (var (name, cols, rows, type, offset) in infos)
        {
            Assert.Equal((ulong)expected, offset);
            Assert.True(name.Length < 64, $"{name}: longer than a name may be");
            var count = cols * rows;
            var bytes = _bytes.AsSpan(data + expected, count * (type == 0 ? 4 : 2));
            Tensors.Add(name, (rows, cols, type, type switch
            {
                0 => MemoryMarshal.Cast<byte, float>(bytes).ToArray(),
                1 => [.. MemoryMarshal.Cast<byte, Half>(bytes).ToArray().Select(h => (float)h)],
                30 => [.. MemoryMarshal.Cast<byte, ushort>(bytes).ToArray().Select(Bf16.ToSingle)],
                _ => throw new InvalidDataException($"{name}: element type {type}"),
            }));
            expected += (bytes.Length + 31) / 32 * 32;
        }

        Assert.Equal(data + expected, _bytes.Length);
    }

    public Dictionary<string, object> Keys { get; } = [];

    public Dictionary<string, (int Rows, int Cols, uint Type, float[] Values)> Tensors { get; } = [];

    private T Take<T>()
        where T : unmanaged
    {
        var value = MemoryMarshal.Read<T>(_bytes.AsSpan(_at));
        _at += Marshal.SizeOf<T>();
        return value;
    }

    private string Text()
    {
        var length = (int)Take<ulong>();
        _at += length;
        return Encoding.UTF8.GetString(_bytes, _at - length, length);
    }
}
