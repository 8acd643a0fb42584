using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Parquet;

namespace Nibble.Data.Sources;

/// <summary>
/// Rows of a Parquet file, as the same JSON objects that a file of JSON lines gives: lists are arrays, structs and
/// maps are objects, and every column is there, null where the row has no value. Numbers keep their value (a float
/// that is no number is null), a decimal keeps all its digits, dates and times are ISO 8601 text, UTC marked with
/// Z. Bytes that no type marks as text are text where they are UTF-8, else an object that only says how many they
/// are. Memory is bounded by one row group. Format: apache/parquet-format, README.md and LogicalTypes.md.
/// </summary>
internal static class ParquetRows
{
    // Text stays readable in messages that quote a row.
    private static readonly JsonWriterOptions WriterOptions =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Decimals are read as digits and scale, of any precision.
    private static readonly ParquetOptions ReaderOptions = new() { UseBigDecimal = true };

    /// <summary>The rows; <see cref="Row.Origin"/> counts them through all row groups.</summary>
    /// <param name="path">File.</param>
    /// <exception cref="DatasetException">The file is no Parquet, cut off, damaged or encrypted, or holds a type,
    /// compression or encoding that is not read.</exception>
    public static IEnumerable<Row> Read(string path)
    {
        using var stream = Utf8Lines.Open(path);
        ParquetLayout.CheckEnds(path, stream);
        var reader = Guard(
            path, "the footer", () => Wait(() => ParquetReader.CreateAsync(stream, ReaderOptions)));
        ParquetLayout.CheckMetadata(path, reader.Metadata!);
        var columns = new List<ParquetColumn>();
        var root = Guard(path, "the schema", () => ParquetNode.Root(reader.Schema, columns));
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var writer = new Utf8JsonWriter(buffer, WriterOptions);
        var number = 0L;
        for (var group = 0; group < reader.RowGroupCount; group++)
        {
            var place = $"row group {group + 1} of {reader.RowGroupCount}";
            var rows = Load(path, place, reader.OpenRowGroupReader(group), columns);
            for (var row = 0L; row < rows; row++)
            {
                number++;
                buffer.ResetWrittenCount();
                writer.Reset();
                try
                {
                    root.Write(writer);
                    writer.Flush();
                }
                catch (ParquetDamage damage)
                {
                    throw new DatasetException(
                        $"{path}: {place}, row {number} of the file, {damage.Message} {ParquetLayout.Remedy}");
                }

                catch (Exception error) when (error is ArgumentException or OverflowException)
                {
                    throw ParquetLayout.Wrap(path, $"{place}, row {number} of the file", error);
                }

                using var document = JsonDocument.Parse(buffer.WrittenMemory);
                yield return new Row(document.RootElement, path, number);
            }

            foreach (var column in columns)
            {
                if (!column.IsAtEnd)
                {
                    throw new DatasetException(
                        $"{path}: {place}, column '{column.Name}': expected values for {rows} rows, found more; the "
                        + $"file is damaged. {ParquetLayout.Remedy}");
                }
            }
        }
    }

    private static long Load(
        string path, string place, ParquetRowGroupReader group, List<ParquetColumn> columns)
    {
        foreach (var column in columns)
        {
            var where = $"{place}, column '{column.Name}'";
            var chunk = group.GetMetadata(column.Field)
                ?? throw new DatasetException(
                    $"{path}: {where}: the row group lacks the column; the file is damaged. {ParquetLayout.Remedy}");
            ParquetLayout.CheckChunk(path, where, chunk, column.Field.ClrType);
            var count = chunk.MetaData!.NumValues;
            if (count is < 0 or > int.MaxValue || (column.Field.MaxRepetitionLevel == 0 && count != group.RowCount))
            {
                throw new DatasetException(
                    $"{path}: {where}: expected {group.RowCount} values, found {count}; the file is damaged or the row "
                    + $"group too large. {ParquetLayout.Remedy}");
            }

            Guard(path, where, () => Wait(() => column.LoadAsync(group, (int)count)));
        }

        return group.RowCount;
    }

    // On a thread of the pool: the library's continuations would wait for a context that waits for them.
    private static T Wait<T>(Func<Task<T>> read) => Task.Run(read).GetAwaiter().GetResult();

    // The library throws whatever its loops stumble over (out of range, not implemented, overflow, ...): the place is
    // what helps.
    private static T Guard<T>(string path, string place, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is not DatasetException)
        {
            throw ParquetLayout.Wrap(path, place, error);
        }
    }
}
