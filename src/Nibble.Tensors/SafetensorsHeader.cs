using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Nibble.Tensors;

/// <summary>
/// The JSON header: u64 little-endian length, JSON, data. Source: huggingface/safetensors
/// <c>safetensors/src/tensor.rs</c>.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>Longest header the format allows, bytes.</summary>
    internal const long MaximumLength = 100_000_000;

    private const string MetadataKey = "__metadata__";

    /// <summary>Reads and checks every statement of a header.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <param name="json">The header.</param>
    /// <param name="fileLength">Bytes of the whole file.</param>
    internal static (Dictionary<string, SafetensorsEntry> Tensors, Dictionary<string, string> Metadata) Parse(
        string file, ReadOnlySpan<byte> json, long fileLength)
    {
        if (json.IsEmpty || json[0] != (byte)'{')
        {
            throw new SafetensorsException(
                file, null, "a header that starts with '{'", json.IsEmpty ? "an empty header" : $"byte 0x{json[0]:x2}");
        }

        if (!Utf8.IsValid(json))
        {
            throw new SafetensorsException(file, null, "a header in UTF-8", "invalid UTF-8 bytes");
        }

        var tensors = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        var dataStart = 8 + json.Length;
        try
        {
            var reader = new Utf8JsonReader(json);
            reader.Read();
            var sawMetadata = false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                if (name == MetadataKey)
                {
                    Unique(file, MetadataKey, !sawMetadata);
                    sawMetadata = true;
                    ReadMetadata(file, ref reader, metadata);
                }
                else
                {
                    var entry = ReadEntry(file, name, ref reader, dataStart);
                    Unique(file, name, tensors.TryAdd(name, entry));
                }
            }

            // Only white space may follow the closing brace: the reader throws on anything else.
            while (reader.Read())
            {
            }
        }
        catch (JsonException e)
        {
            throw new SafetensorsException(file, null, "a header that is one JSON object", e.Message, e);
        }
        catch (InvalidOperationException e)
        {
            throw new SafetensorsException(file, null, "a header with valid JSON strings", e.Message, e);
        }

        CheckLayout(file, tensors, dataStart, fileLength);
        return (tensors, metadata);
    }

    /// <summary>Bytes of a tensor's data.</summary>
    /// <param name="file">Path, for messages.</param>
    /// <param name="name">Tensor, for messages.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Dimensions.</param>
    internal static long ByteCount(string file, string name, SafetensorsType type, long[] shape)
    {
        long bits = type.Bits();
        var (zero, overflow) = (false, false);
        foreach (var dimension in shape)
        {
            zero |= dimension == 0;
            overflow |= dimension != 0 && bits > long.MaxValue / dimension;
            bits = overflow || dimension == 0 ? bits : bits * dimension;
        }

        if (zero)
        {
            return 0;
        }

        if (overflow)
        {
            throw new SafetensorsException(
                file, name, "a shape whose product fits 63 bits", $"[{string.Join(", ", shape)}]");
        }

        if (bits % 8 != 0)
        {
            throw new SafetensorsException(
                file, name, "a shape that fills whole bytes", $"{type.Name()} [{string.Join(", ", shape)}]");
        }

        return bits / 8;
    }

    /// <summary>Writes a header of the reference layout, padded with spaces to a multiple of 8.</summary>
    /// <param name="entries">Tensors in file order; offsets relative to the start of the data.</param>
    /// <param name="metadata">Strings to store; nothing is written when empty.</param>
    internal static byte[] Write(
        IReadOnlyList<SafetensorsEntry> entries, IEnumerable<KeyValuePair<string, string>> metadata)
    {
        using var buffer = new MemoryStream();
        var options = new JsonWriterOptions
        {
            // The header is data, not part of a web page; names stay readable.
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        };
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            writer.WriteStartObject();
            var pairs = metadata.OrderBy(p => p.Key, StringComparer.Ordinal).ToArray();
            if (pairs.Length > 0)
            {
                writer.WriteStartObject(MetadataKey);
                foreach (var (key, value) in pairs)
                {
                    writer.WriteString(key, value);
                }

                writer.WriteEndObject();
            }

            foreach (var entry in entries)
            {
                writer.WriteStartObject(entry.Name);
                writer.WriteString("dtype", entry.Type.Name());
                writer.WriteStartArray("shape");
                foreach (var dimension in entry.Shape)
                {
                    writer.WriteNumberValue(dimension);
                }

                writer.WriteEndArray();
                writer.WriteStartArray("data_offsets");
                writer.WriteNumberValue(entry.Offset);
                writer.WriteNumberValue(entry.Offset + entry.ByteCount);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        while (buffer.Length % 8 != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        return buffer.ToArray();
    }

    private static void Unique(string file, string name, bool first)
    {
        if (!first)
        {
            throw new SafetensorsException(file, name, "each name once", "a second entry of that name");
        }
    }

    private static void ReadMetadata(string file, ref Utf8JsonReader reader, Dictionary<string, string> metadata)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new SafetensorsException(
                file, MetadataKey, "an object of strings", reader.TokenType.ToString());
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                throw new SafetensorsException(
                    file, MetadataKey, $"a string for '{key}'", reader.TokenType.ToString());
            }

            Unique(file, $"{MetadataKey}.{key}", metadata.TryAdd(key, reader.GetString()!));
        }
    }

    private static SafetensorsEntry ReadEntry(string file, string name, ref Utf8JsonReader reader, int dataStart)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new SafetensorsException(
                file, name, "an object with dtype, shape and data_offsets", reader.TokenType.ToString());
        }

        SafetensorsType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var field = reader.GetString();
            reader.Read();
            switch (field)
            {
                case "dtype":
                    Unique(file, $"{name}.dtype", type is null);
                    type = ReadType(file, name, ref reader);
                    break;
                case "shape":
                    Unique(file, $"{name}.shape", shape is null);
                    shape = ReadIntegers(file, name, field, ref reader);
                    break;
                case "data_offsets":
                    Unique(file, $"{name}.data_offsets", offsets is null);
                    offsets = ReadIntegers(file, name, field, ref reader);
                    break;
                default:
                    // The reference reader ignores fields it does not know.
                    reader.Skip();
                    break;
            }
        }

        if (type is null || shape is null || offsets is null)
        {
            var missing = type is null ? "dtype" : shape is null ? "shape" : "data_offsets";
            throw new SafetensorsException(file, name, "dtype, shape and data_offsets", $"no {missing}");
        }

        if (offsets.Length != 2 || offsets[1] < offsets[0])
        {
            throw new SafetensorsException(
                file, name, "data_offsets [begin, end] with begin <= end", $"[{string.Join(", ", offsets)}]");
        }

        var bytes = ByteCount(file, name, type.Value, shape);
        if (bytes != offsets[1] - offsets[0])
        {
            throw new SafetensorsException(
                file,
                name,
                $"{bytes} bytes for {type.Value.Name()} [{string.Join(", ", shape)}]",
                $"{offsets[1] - offsets[0]} bytes (data_offsets [{offsets[0]}, {offsets[1]}])");
        }

        if (offsets[1] > long.MaxValue - dataStart)
        {
            throw new SafetensorsException(file, name, "offsets inside the file", $"data_offsets end {offsets[1]}");
        }

        return new SafetensorsEntry(name, type.Value, shape, dataStart + offsets[0], bytes);
    }

    private static SafetensorsType ReadType(string file, string name, ref Utf8JsonReader reader)
    {
        var expected = $"a dtype of {string.Join(", ", SafetensorsTypes.Names)}";
        if (reader.TokenType != JsonTokenType.String)
        {
            throw new SafetensorsException(file, name, expected, reader.TokenType.ToString());
        }

        var text = reader.GetString()!;
        return SafetensorsTypes.TryParse(text, out var type)
            ? type
            : throw new SafetensorsException(file, name, expected, $"'{text}'");
    }

    private static long[] ReadIntegers(string file, string name, string field, ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new SafetensorsException(
                file, name, $"an array of integers for {field}", reader.TokenType.ToString());
        }

        var values = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var value) || value < 0)
            {
                var found = reader.TokenType is JsonTokenType.Number or JsonTokenType.String
                    ? Encoding.UTF8.GetString(reader.ValueSpan)
                    : reader.TokenType.ToString();
                throw new SafetensorsException(file, name, $"integers from 0 in {field}", found);
            }

            values.Add(value);
        }

        return [.. values];
    }

    private static void CheckLayout(
        string file, Dictionary<string, SafetensorsEntry> tensors, long dataStart, long fileLength)
    {
        var sorted = tensors.Values.ToArray();
        Array.Sort(sorted, (a, b) =>
            a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.ByteCount.CompareTo(b.ByteCount));
        var position = dataStart;
        foreach (var entry in sorted)
        {
            if (entry.Offset != position)
            {
                var kind = entry.Offset > position ? "a gap" : "an overlap";
                throw new SafetensorsException(
                    file,
                    entry.Name,
                    $"data that begins at {position - dataStart}, where the tensor before it ends",
                    $"data that begins at {entry.Offset - dataStart} ({kind})");
            }

            position += entry.ByteCount;
        }

        if (position != fileLength)
        {
            var kind = fileLength < position ? "the file is cut off" : "bytes follow the last tensor";
            throw new SafetensorsException(
                file,
                null,
                $"{position} bytes as the header says",
                $"{fileLength} bytes ({kind})");
        }
    }
}
