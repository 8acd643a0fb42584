using System.Buffers;
using System.Text.Json;

namespace Nibble.Data.Sources;

/// <summary>Rows of a JSON file: one object a line, or one array of objects, told apart by the first
/// character.</summary>
internal static class JsonRows
{
    /// <summary>Whether a file is read as rows of JSON, by its name.</summary>
    /// <param name="path">File.</param>
    public static bool IsJson(string path) =>
        Path.GetExtension(path).ToUpperInvariant() is ".JSON" or ".JSONL" or ".NDJSON";

    /// <summary>The rows, in memory bounded by the longest one.</summary>
    /// <param name="path">File.</param>
    public static IEnumerable<Row> Read(string path) => StartsWithBracket(path) ? ReadArray(path) : ReadLines(path);

    /// <summary>A row from JSON text that is already known to be UTF-8.</summary>
    /// <param name="path">File, for messages.</param>
    /// <param name="json">One value.</param>
    /// <param name="line">Line it starts on.</param>
    internal static JsonDocument Parse(string path, ReadOnlyMemory<byte> json, long line)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(json);
        }
        catch (JsonException error)
        {
            var reason = error.Message;
            var cut = reason.IndexOf(" LineNumber:", StringComparison.Ordinal);
            throw new DatasetException(
                $"{path}:{line + (error.LineNumber ?? 0)}: "
                + $"invalid JSON at byte {(error.BytePositionInLine ?? 0) + 1} of the line: "
                + $"{(cut < 0 ? reason : reason[..cut])}",
                error);
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return document;
        }

        var found = Row.Describe(document.RootElement);
        document.Dispose();
        throw new DatasetException($"{path}:{line}: a row should be a JSON object, found {found}.");
    }

    private static bool StartsWithBracket(string path)
    {
        using var stream = Utf8Lines.Open(path);
        Span<byte> start = stackalloc byte[4096];
        var read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        var text = start[..read];
        text = text.StartsWith("\uFEFF"u8) ? text[3..] : text;
        text = text.TrimStart(" \t\r\n"u8);
        return text.Length > 0 && text[0] == '[';
    }

    private static IEnumerable<Row> ReadLines(string path)
    {
        foreach (var line in Utf8Lines.Read(path))
        {
            if (line.Bytes.Span.Trim(" \t\r"u8).IsEmpty)
            {
                continue;
            }

            using var document = Parse(path, line.Bytes, line.Number);
            yield return new Row(document.RootElement, path, line.Number);
        }
    }

    private static IEnumerable<Row> ReadArray(string path)
    {
        var element = new ArrayBufferWriter<byte>(4096);
        var scanner = new ElementScanner();
        foreach (var line in Utf8Lines.Read(path, keepCarriageReturn: true))
        {
            // The line break belongs to the text between two values and to messages about what follows it.
            for (var at = 0; at <= line.Bytes.Length; at++)
            {
                var value = at < line.Bytes.Length ? line.Bytes.Span[at] : (byte)'\n';
                switch (scanner.Take(value, line.Number))
                {
                    case ScanResult.Keep:
                        element.GetSpan(1)[0] = value;
                        element.Advance(1);
                        break;
                    case ScanResult.Complete:
                        using (var document = Parse(path, element.WrittenMemory, scanner.StartLine))
                        {
                            yield return new Row(document.RootElement, path, scanner.StartLine);
                        }

                        element.ResetWrittenCount();
                        break;
                    case ScanResult.Wrong:
                        throw new DatasetException(
                            $"{path}:{line.Number}: invalid JSON at byte {at + 1} of the line: "
                            + $"'{(char)value}' where {scanner.Expected} should be.");
                    default:
                        break;
                }
            }
        }

        if (!scanner.IsDone)
        {
            throw new DatasetException($"{path}: the file ends inside its JSON array; it looks cut off.");
        }
    }

    private enum ScanResult
    {
        Skip,
        Keep,
        Complete,
        Wrong,
    }

    /// <summary>Finds where each element of the outermost array begins and ends.</summary>
    private sealed class ElementScanner
    {
        private State _state;
        private int _depth;
        private bool _inString;
        private bool _escaped;

        private enum State
        {
            BeforeArray,
            BeforeFirst,
            BeforeElement,
            InElement,
            Done,
        }

        public long StartLine { get; private set; }

        public bool IsDone => _state == State.Done;

        public string Expected => _state == State.Done ? "nothing but the end of the file" : "a row";

        public ScanResult Take(byte value, long line)
        {
            if (_state == State.InElement)
            {
                return TakeInside(value);
            }

            if (value is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            {
                return ScanResult.Skip;
            }

            switch (_state)
            {
                case State.BeforeArray:
                    _state = State.BeforeFirst;
                    return ScanResult.Skip;
                case State.BeforeFirst when value == ']':
                    _state = State.Done;
                    return ScanResult.Skip;
                case State.Done:
                    return ScanResult.Wrong;
                default:
                    if (value is (byte)',' or (byte)']')
                    {
                        return ScanResult.Wrong;
                    }

                    (_state, StartLine) = (State.InElement, line);
                    return TakeInside(value);
            }
        }

        private ScanResult TakeInside(byte value)
        {
            if (_inString)
            {
                _inString = _escaped || value != '"';
                _escaped = !_escaped && value == '\\';
                return ScanResult.Keep;
            }

            switch ((char)value)
            {
                case '"':
                    _inString = true;
                    break;
                case '{' or '[':
                    _depth++;
                    break;
                case ',' when _depth == 0:
                    _state = State.BeforeElement;
                    return ScanResult.Complete;
                case ']' when _depth == 0:
                    _state = State.Done;
                    return ScanResult.Complete;
                case '}' or ']':
                    _depth = Math.Max(0, _depth - 1);
                    break;
                default:
                    break;
            }

            return ScanResult.Keep;
        }
    }
}
