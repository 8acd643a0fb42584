using System.Buffers.Binary;
using Parquet.Meta;
using Type = System.Type;

namespace Nibble.Data.Sources;

/// <summary>What of a Parquet file is refused before its values are read, because the library would fail on it without
/// saying why, or misread it.</summary>
internal static class ParquetLayout
{
    /// <summary>What to do about a file that is not read.</summary>
    public const string Remedy =
        "Write it again, for example with pyarrow: pq.write_table(pq.read_table(old), new), or convert it to JSON "
        + "lines.";

    private const int SmallestFile = 12;

    /// <summary>Tells a Parquet file from others by its first and last bytes.</summary>
    /// <param name="path">File, for messages.</param>
    /// <param name="stream">Its content; left at the start.</param>
    /// <exception cref="DatasetException">It is not Parquet, encrypted or cut off.</exception>
    public static void CheckEnds(string path, Stream stream)
    {
        Span<byte> head = stackalloc byte[4];
        var read = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        if (head.SequenceEqual("PARE"u8))
        {
            throw Encrypted(path, "the file");
        }

        if (read < head.Length || !head.SequenceEqual("PAR1"u8))
        {
            var found = read == 0
                ? "an empty file"
                : Convert.ToHexString(head[..read]);
            throw new DatasetException(
                $"{path}: this is no Parquet file: expected the bytes 50415231 ('PAR1') at the start, found {found}. "
                + "If it is of another kind, set ds_type.");
        }

        Span<byte> tail = stackalloc byte[8];
        if (stream.Length >= SmallestFile)
        {
            stream.Seek(-tail.Length, SeekOrigin.End);
            stream.ReadExactly(tail);
        }

        if (tail[4..].SequenceEqual("PARE"u8))
        {
            throw Encrypted(path, "the file");
        }

        var footer = BinaryPrimitives.ReadUInt32LittleEndian(tail);
        if (!tail[4..].SequenceEqual("PAR1"u8) || footer > stream.Length - SmallestFile)
        {
            throw new DatasetException(
                $"{path}: the Parquet file is cut off: expected a footer and 'PAR1' at the end, found "
                + $"{Convert.ToHexString(tail)} at byte {stream.Length}. Copy or download it again.");
        }

        // The footer is a Thrift struct, which ends in 0; without it the library would read on for ever. After a
        // signature columns are encrypted.
        stream.Seek(-tail.Length - 1, SeekOrigin.End);
        if (stream.ReadByte() != 0)
        {
            throw new DatasetException(
                $"{path}: the footer does not end as it should: the file is damaged, or signed because columns are "
                + "encrypted. Copy or download it again, or write it again without encryption.");
        }

        stream.Position = 0;
    }

    /// <summary>Refuses what the footer says cannot be read.</summary>
    /// <param name="path">File, for messages.</param>
    /// <param name="metadata">Footer.</param>
    public static void CheckMetadata(string path, FileMetaData metadata)
    {
        if (metadata.EncryptionAlgorithm is not null)
        {
            throw Encrypted(path, "the file");
        }

        for (var i = 0; i + 2 < metadata.Schema.Count; i++)
        {
            CheckList(path, metadata.Schema, i);
        }
    }

    /// <summary>Refuses a column of a row group that would be misread.</summary>
    /// <param name="path">File, for messages.</param>
    /// <param name="place">Row group and column, for messages.</param>
    /// <param name="chunk">Its description in the footer.</param>
    /// <param name="type">What the library reads its values as.</param>
    public static void CheckChunk(string path, string place, ColumnChunk chunk, Type type)
    {
        if (chunk.CryptoMetadata is not null || chunk.EncryptedColumnMetadata is not null)
        {
            throw Encrypted(path, place);
        }

        if (chunk.MetaData is not { } column)
        {
            throw new DatasetException(
                $"{path}: {place}: the footer does not say where its values are; the file is damaged. {Remedy}");
        }

        if (!string.IsNullOrEmpty(chunk.FilePath))
        {
            throw new DatasetException(
                $"{path}: {place}: its values are in another file, '{chunk.FilePath}', which is not read. {Remedy}");
        }

        // LZ4 of before 2021 has a framing that is not in the format's text; the library reads it as LZ4_RAW.
        if (column.Codec is not (CompressionCodec.UNCOMPRESSED or CompressionCodec.SNAPPY or CompressionCodec.GZIP
            or CompressionCodec.BROTLI or CompressionCodec.ZSTD or CompressionCodec.LZ4_RAW))
        {
            throw new DatasetException(
                $"{path}: {place}: its compression {column.Codec} is not read; uncompressed, snappy, gzip, brotli, "
                + $"zstd and lz4_raw are. {Remedy}");
        }

        if (Misread(column, type) is { } encoding)
        {
            throw new DatasetException($"{path}: {place}: its encoding {encoding} is not read for this type. {Remedy}");
        }
    }

    // The library takes run lengths of booleans, which newer pages have, for values of no bits, and splits streams by
    // the width of the type it reads into, not by that in the file.
    private static Encoding? Misread(ColumnMetaData column, Type type)
    {
        if (type == typeof(bool))
        {
            return !column.Encodings.Contains(Encoding.PLAIN)
                || column.EncodingStats?.Exists(pages =>
                    pages.PageType is not PageType.DICTIONARY_PAGE && pages.Encoding == Encoding.RLE) == true
                ? Encoding.RLE
                : null;
        }

        return column.Encodings.Contains(Encoding.BYTE_STREAM_SPLIT)
            && !(type == typeof(float) || type == typeof(double) || type == typeof(int) || type == typeof(long))
            ? Encoding.BYTE_STREAM_SPLIT
            : null;
    }

    /// <summary>An error of the library as one that says where it happened.</summary>
    /// <param name="path">File.</param>
    /// <param name="place">Part of the file.</param>
    /// <param name="error">What the library threw.</param>
    public static DatasetException Wrap(string path, string place, Exception error)
    {
        var reason = error switch
        {
            NotSupportedException => "it holds a type, encoding or page that is not read",
            EndOfStreamException => "the file ends inside it; it looks cut off",
            OutOfMemoryException => "it does not fit in memory; write the file with smaller row groups",
            IOException or UnauthorizedAccessException => "it cannot be read",
            _ => "it is damaged, or written in a way that is not read",
        };
        return new DatasetException($"{path}: {place}: {reason} ({error.Message.TrimEnd('.')}). {Remedy}", error);
    }

    // Lists of before 2015 put the element where today's have a group around it. The library takes the group's first
    // field for the element. apache/parquet-format, LogicalTypes.md, "Backward-compatibility rules" 2 and 3.
    private static void CheckList(string path, List<SchemaElement> schema, int at)
    {
        var (list, group) = (schema[at], schema[at + 1]);
        var isList = list.ConvertedType == ConvertedType.LIST || list.LogicalType?.LIST is not null;
        if (isList && group.NumChildren is { } children
            && (children > 1 || group.Name == "array" || group.Name == list.Name + "_tuple"))
        {
            throw new DatasetException(
                $"{path}: column '{list.Name}': its list has the old two-level layout (a repeated group "
                + $"'{group.Name}' that is the element itself), which is not read. {Remedy}");
        }
    }

    private static DatasetException Encrypted(string path, string place) =>
        new($"{path}: {place} is encrypted, and no key can be given. Write it again without encryption.");
}
