using System.Text.Json;
using Parquet;
using Parquet.Schema;

namespace Nibble.Data.Sources;

/// <summary>Levels and values of a column do not fit together; the message begins with the column.</summary>
/// <param name="message">What was expected and what was found.</param>
internal sealed class ParquetDamage(string message) : Exception(message);

/// <summary>
/// One column of the row group at hand, read from front to back. Each entry has a repetition level (which list it
/// continues; 0 begins a row) and a definition level (how many of its optional parents are there; the highest one has a
/// value). apache/parquet-format, README.md, "Nested Encoding".
/// </summary>
/// <param name="place">Its place in the schema.</param>
internal abstract class ParquetColumn(DataField place)
{
    private int[]? _definitions;
    private int[]? _repetitions;
    private int _count;
    private int _entry;

    /// <summary>Place in the schema.</summary>
    public DataField Field { get; } = place;

    /// <summary>Names from the row down, with dots.</summary>
    public string Name { get; } = string.Join('.', place.Path.ToList());

    /// <summary>Whether every entry was taken.</summary>
    public bool IsAtEnd => _entry == _count;

    /// <summary>Definition level of the next entry.</summary>
    /// <exception cref="ParquetDamage">There is none.</exception>
    public int Definition
    {
        get
        {
            if (_entry >= _count)
            {
                throw new ParquetDamage($"column '{Name}': expected another value, found the end of the column; "
                    + "the file is damaged.");
            }

            return _definitions is null ? 0 : _definitions[_entry];
        }
    }

    /// <summary>Repetition level of the next entry; 0 at the end.</summary>
    public int Repetition => _repetitions is null || _entry >= _count ? 0 : _repetitions[_entry];

    /// <summary>Reads the column of a row group.</summary>
    /// <param name="group">Row group.</param>
    /// <param name="count">Entries, nulls included.</param>
    /// <returns><paramref name="count"/>.</returns>
    public async Task<int> LoadAsync(ParquetRowGroupReader group, int count)
    {
        // Row groups are of one size as a rule, so that the arrays serve for all of them.
        if (Field.MaxDefinitionLevel > 0 && (_definitions is null || _definitions.Length < count))
        {
            _definitions = new int[count];
        }

        if (Field.MaxRepetitionLevel > 0 && (_repetitions is null || _repetitions.Length < count))
        {
            _repetitions = new int[count];
        }

        await ReadValuesAsync(group, count, _definitions, _repetitions).ConfigureAwait(false);
        (_entry, _count) = (0, count);
        return count;
    }

    /// <summary>Writes the next entry, null where it has no value.</summary>
    /// <param name="writer">Takes one JSON value.</param>
    public void Write(Utf8JsonWriter writer)
    {
        if (Definition < Field.MaxDefinitionLevel)
        {
            writer.WriteNullValue();
        }
        else
        {
            WriteNext(writer);
        }

        _entry++;
    }

    /// <summary>Passes over an entry that has no value because a parent has none.</summary>
    public void Skip() => _entry++;

    /// <summary>Reads values and levels into arrays of at least <paramref name="count"/>.</summary>
    private protected abstract Task ReadValuesAsync(
        ParquetRowGroupReader group, int count, int[]? definitions, int[]? repetitions);

    /// <summary>Writes the next value.</summary>
    private protected abstract void WriteNext(Utf8JsonWriter writer);
}

/// <summary>A column whose values the library gives as <typeparamref name="T"/>.</summary>
/// <param name="field">Its place in the schema.</param>
/// <param name="write">Writes one value as JSON.</param>
internal sealed class ParquetColumn<T>(DataField field, Action<Utf8JsonWriter, T> write) : ParquetColumn(field)
    where T : struct
{
    private T[] _values = [];
    private int _next;

    private protected override Task ReadValuesAsync(
        ParquetRowGroupReader group, int count, int[]? definitions, int[]? repetitions)
    {
        // Text of the last row group goes before that of the next one comes.
        Array.Clear(_values);
        _values = _values.Length < count ? new T[count] : _values;
        _next = 0;
        return group.ReadRawAsync<T>(
            Field, _values.AsMemory(0, count), Levels(definitions, count), Levels(repetitions, count)).AsTask();
    }

    private protected override void WriteNext(Utf8JsonWriter writer) => write(writer, _values[_next++]);

    // As one expression, null would become memory without elements: arrays convert to memory, null ones too.
    private static Memory<int>? Levels(int[]? levels, int count)
    {
        if (levels is null)
        {
            return null;
        }

        return levels.AsMemory(0, count);
    }
}
