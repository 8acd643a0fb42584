using System.Text.Json;
using Parquet.Schema;

namespace Nibble.Data.Sources;

/// <summary>A part of a row's tree: writes the JSON value that its columns hold next.</summary>
internal abstract class ParquetNode
{
    /// <summary>Writes the next value and moves its columns on.</summary>
    /// <param name="writer">Takes one JSON value.</param>
    /// <exception cref="ParquetDamage">The columns do not fit together.</exception>
    public abstract void Write(Utf8JsonWriter writer);

    /// <summary>Moves its columns over an entry in which a parent has no value.</summary>
    public abstract void Skip();

    /// <summary>The column that tells whether the value is there: any column below knows all its parents.</summary>
    private protected abstract ParquetColumn First { get; }

    /// <summary>The tree of a row.</summary>
    /// <param name="schema">Schema of the file.</param>
    /// <param name="columns">Takes the columns, in the order of the file.</param>
    /// <exception cref="NotSupportedException">A column has a type that has no JSON form.</exception>
    public static ParquetNode Root(ParquetSchema schema, List<ParquetColumn> columns)
    {
        if (schema.Fields.Count == 0)
        {
            throw new NotSupportedException("it has no columns");
        }

        return new ParquetStruct(0, [.. schema.Fields.Select(field => (field.Name, Build(field, columns)))]);
    }

    private static ParquetNode Build(Field field, List<ParquetColumn> columns)
    {
        switch (field)
        {
            case DataField data:
                var column = ParquetValues.Open(data);
                columns.Add(column);
                var leaf = new ParquetLeaf(column);
                return data.IsArray ? new ParquetList(data.MaxRepetitionLevel, data.MaxDefinitionLevel, leaf) : leaf;
            case ListField { Item: DataField { IsArray: true } item }:
                return Build(item, columns);
            case ListField list:
                return new ParquetList(
                    list.MaxRepetitionLevel, list.MaxDefinitionLevel, Build(list.Item, columns));
            case MapField map:
                return new ParquetMap(
                    map.MaxRepetitionLevel, map.MaxDefinitionLevel, Build(map.Key, columns), Build(map.Value, columns));
            case StructField { Fields.Count: > 0 } group:
                return new ParquetStruct(
                    group.MaxDefinitionLevel, [.. group.Fields.Select(part => (part.Name, Build(part, columns)))]);
            default:
                throw new NotSupportedException($"column '{field.Name}' is a {field.SchemaType} without content");
        }
    }

    private sealed class ParquetLeaf(ParquetColumn column) : ParquetNode
    {
        private protected override ParquetColumn First => column;

        public override void Write(Utf8JsonWriter writer) => column.Write(writer);

        public override void Skip() => column.Skip();
    }

    private sealed class ParquetStruct(int level, (string Name, ParquetNode Node)[] parts) : ParquetNode
    {
        // One lookup and one escaping for all rows.
        private readonly JsonEncodedText[] _names = [.. parts.Select(part => JsonEncodedText.Encode(part.Name))];

        private protected override ParquetColumn First { get; } = parts[0].Node.First;

        public override void Write(Utf8JsonWriter writer)
        {
            if (First.Definition < level)
            {
                Skip();
                writer.WriteNullValue();
                return;
            }

            writer.WriteStartObject();
            for (var i = 0; i < parts.Length; i++)
            {
                writer.WritePropertyName(_names[i]);
                parts[i].Node.Write(writer);
            }

            writer.WriteEndObject();
        }

        public override void Skip()
        {
            foreach (var (_, node) in parts)
            {
                node.Skip();
            }
        }
    }

    /// <summary>Elements that repeat.</summary>
    /// <param name="repetition">Repetition level of all its elements but the first.</param>
    /// <param name="level">Definition level at which it has an element; one less is an empty list, anything below is no
    /// list.</param>
    private abstract class ParquetRepeated(int repetition, int level) : ParquetNode
    {
        public sealed override void Write(Utf8JsonWriter writer)
        {
            var definition = First.Definition;
            if (definition < level - 1)
            {
                Skip();
                writer.WriteNullValue();
                return;
            }

            Start(writer);
            if (definition < level)
            {
                Skip();
            }
            else
            {
                do
                {
                    WriteElement(writer);
                }
                while (First.Repetition == repetition);
            }

            End(writer);
        }

        protected abstract void Start(Utf8JsonWriter writer);

        protected abstract void WriteElement(Utf8JsonWriter writer);

        protected abstract void End(Utf8JsonWriter writer);
    }

    private sealed class ParquetList(int repetition, int level, ParquetNode item) : ParquetRepeated(repetition, level)
    {
        private protected override ParquetColumn First { get; } = item.First;

        public override void Skip() => item.Skip();

        protected override void Start(Utf8JsonWriter writer) => writer.WriteStartArray();

        protected override void WriteElement(Utf8JsonWriter writer) => item.Write(writer);

        protected override void End(Utf8JsonWriter writer) => writer.WriteEndArray();
    }

    /// <summary>An object whose names are the keys as text.</summary>
    private sealed class ParquetMap(int repetition, int level, ParquetNode key, ParquetNode value)
        : ParquetRepeated(repetition, level)
    {
        private readonly ParquetKey _key = new();

        private protected override ParquetColumn First { get; } = key.First;

        public override void Skip()
        {
            key.Skip();
            value.Skip();
        }

        protected override void Start(Utf8JsonWriter writer) => writer.WriteStartObject();

        protected override void WriteElement(Utf8JsonWriter writer)
        {
            writer.WritePropertyName(_key.Take(key));
            value.Write(writer);
        }

        protected override void End(Utf8JsonWriter writer) => writer.WriteEndObject();
    }
}
