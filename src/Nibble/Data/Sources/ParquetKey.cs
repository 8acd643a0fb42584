using System.Buffers;
using System.Text.Json;

namespace Nibble.Data.Sources;

/// <summary>Turns the keys of maps into names of fields.</summary>
internal sealed class ParquetKey
{
    private readonly ArrayBufferWriter<byte> _buffer = new(64);

    /// <summary>The next key: its text, or its JSON where it is no text.</summary>
    /// <param name="key">Where it is read.</param>
    public string Take(ParquetNode key)
    {
        _buffer.ResetWrittenCount();
        using (var writer = new Utf8JsonWriter(_buffer))
        {
            key.Write(writer);
        }

        using var document = JsonDocument.Parse(_buffer.WrittenMemory);
        var root = document.RootElement;
        return root.ValueKind == JsonValueKind.String ? root.GetString()! : root.GetRawText();
    }
}
