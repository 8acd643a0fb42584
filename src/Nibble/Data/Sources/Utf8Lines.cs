using System.Buffers;
using System.Text;
using System.Text.Unicode;

namespace Nibble.Data.Sources;

/// <summary>One line of a file.</summary>
/// <param name="Bytes">Checked UTF-8 without the line break; valid until the next line is read.</param>
/// <param name="Number">Line number from 1.</param>
internal readonly record struct Utf8Line(ReadOnlyMemory<byte> Bytes, long Number);

/// <summary>Reads a file line by line in memory bounded by its longest line, and refuses bytes that are not
/// UTF-8.</summary>
internal static class Utf8Lines
{
    /// <summary>The lines of a file; a byte-order mark is skipped.</summary>
    /// <param name="path">File.</param>
    /// <param name="keepCarriageReturn">Leave the CR of a CRLF line break on the line.</param>
    /// <exception cref="DatasetException">A byte is not UTF-8: file, line and byte offset are named.</exception>
    public static IEnumerable<Utf8Line> Read(string path, bool keepCarriageReturn = false)
    {
        using var stream = Open(path);
        var buffer = new byte[1 << 16];
        var (start, end) = (0, 0);
        var (number, offset) = (1L, 0L);
        var searched = 0;
        while (true)
        {
            var found = buffer.AsSpan(start + searched, end - start - searched).IndexOf((byte)'\n');
            if (found < 0)
            {
                searched = end - start;
                if (start > 0)
                {
                    buffer.AsSpan(start, searched).CopyTo(buffer);
                    (start, end) = (0, searched);
                }

                if (end == buffer.Length)
                {
                    Array.Resize(ref buffer, checked(buffer.Length * 2));
                }

                var read = stream.Read(buffer, end, buffer.Length - end);
                end += read;
                if (read > 0)
                {
                    continue;
                }

                if (end > 0)
                {
                    yield return Check(buffer, 0, end, number, offset);
                }

                yield break;
            }

            var length = searched + found;
            yield return Check(buffer, start, length, number, offset);
            number++;
            offset += length + 1;
            start += length + 1;
            searched = 0;
        }

        Utf8Line Check(byte[] bytes, int at, int length, long line, long position)
        {
            Validate(path, bytes.AsSpan(at, length), line, position);
            if (line == 1 && bytes.AsSpan(at, length).StartsWith("\uFEFF"u8))
            {
                (at, length) = (at + 3, length - 3);
            }

            if (!keepCarriageReturn && length > 0 && bytes[at + length - 1] == '\r')
            {
                length--;
            }

            return new Utf8Line(bytes.AsMemory(at, length), line);
        }
    }

    /// <summary>Opens a file for one pass.</summary>
    /// <param name="path">File.</param>
    public static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new DatasetException(
                Directory.Exists(path)
                    ? $"{path}: this is a folder; name a file in it."
                    : $"{path}: cannot be read: {error.Message}",
                error);
        }
    }

    /// <summary>Refuses bytes that are not UTF-8.</summary>
    /// <param name="path">File, for the message.</param>
    /// <param name="bytes">A line, or several.</param>
    /// <param name="line">Number of the first line.</param>
    /// <param name="offset">Position of the first byte in the file.</param>
    public static void Validate(string path, ReadOnlySpan<byte> bytes, long line, long offset)
    {
        if (Utf8.IsValid(bytes))
        {
            return;
        }

        var at = 0;
        while (Rune.DecodeFromUtf8(bytes[at..], out _, out var used) == OperationStatus.Done)
        {
            at += used;
        }

        line += bytes[..at].Count((byte)'\n');
        throw new DatasetException(
            $"{path}:{line}: byte 0x{bytes[at]:X2} at offset {offset + at} of the file is not UTF-8. "
            + "Save the file as UTF-8 (for example: iconv -f latin1 -t utf-8).");
    }
}
