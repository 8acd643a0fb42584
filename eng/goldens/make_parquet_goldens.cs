#!/usr/bin/env -S dotnet run
#:package ParquetSharp@25.0.1.2
#:package Apache.Arrow@23.0.0
#:property ManagePackageVersionsCentrally=false
#:property AssemblyName=ParquetGoldens
#:property PublishAot=false
// Makes the files of tests/goldens/parquet from the JSON lines beside them, with Arrow's C++ library (the writer of
// pyarrow, pandas and the datasets library).
//
//   dotnet run eng/goldens/make_parquet_goldens.cs tests/goldens/parquet

using System.Globalization;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;
using ParquetSharp;
using ParquetSharp.Arrow;
using Encoding = ParquetSharp.Encoding;
using TimeUnit = Apache.Arrow.Types.TimeUnit;

var output = args[0];
var text = StringType.Default;
var whole = Int64Type.Default;

// ---- conversations -------------------------------------------------------------------------------------------------
var call = Struct(("type", text), ("function", Struct(("name", text), ("arguments", text))));
var chat = Fields(
    ("messages", List(Struct(("role", text), ("content", text), ("tool_calls", List(call))))), ("source", text));
Save("chat", chat,
    Writer(Compression.Snappy), 3);
Save("tools", chat, Writer(Compression.Zstd), 2);
Save("sharegpt", Fields(("conversations", List(Struct(("from", text), ("value", text)))), ("id", whole)),
    Writer(Compression.Lz4), 100);

// ---- flat formats --------------------------------------------------------------------------------------------------
Save("alpaca", Fields(("instruction", LargeStringType.Default), ("input", text), ("output", text)),
    Writer(Compression.Gzip), 2);
Save("segments", Fields(("segments", List(Struct(("label", BooleanType.Default), ("text", text))))),
    Writer(Compression.Brotli), 1);
Save("tokens", Fields(("input_ids", List(Int32Type.Default)), ("attention_mask", List(Int8Type.Default)),
        ("labels", List(whole))),
    Writer(Compression.Uncompressed).DisableDictionary(), 2);
// Pages of a few rows and groups of 40: text that recurs (dictionary) beside text that does not.
Save("completion", Fields(("text", text), ("kind", text)),
    Writer(Compression.Zstd).DataPagesize(64).WriteBatchSize(4), 40);

// ---- types ---------------------------------------------------------------------------------------------------------
var nested = Struct(("name", text), ("point", Struct(("x", DoubleType.Default), ("tags", List(text)))));
var types = Fields(
    ("s", text), ("large", LargeStringType.Default), ("flag", BooleanType.Default), ("i8", Int8Type.Default),
    ("u8", UInt8Type.Default), ("i16", Int16Type.Default), ("u16", UInt16Type.Default), ("i32", Int32Type.Default),
    ("u32", UInt32Type.Default), ("i64", whole), ("u64", UInt64Type.Default), ("f32", FloatType.Default),
    ("f64", DoubleType.Default), ("day", Date32Type.Default),
    ("at_ms", new TimestampType(TimeUnit.Millisecond, "UTC")),
    ("at_us", new TimestampType(TimeUnit.Microsecond, "UTC")),
    ("at_ns", new TimestampType(TimeUnit.Nanosecond, (string?)null)), ("price", new Decimal128Type(10, 2)),
    ("big", new Decimal128Type(38, 10)), ("strings", List(text)), ("grid", List(List(whole))), ("nested", nested),
    ("map", new MapType(text, whole)), ("maps", List(new MapType(text, List(text)))));
Save("types", types, Writer(Compression.Zstd).DisableStatistics(), 3);
Save("types-plain", types, Writer(Compression.Snappy).DisableDictionary(), 100);

// ---- the newer pages, and what is refused --------------------------------------------------------------------------
var newer = () => Writer(Compression.Snappy).DataPageVersion(ParquetDataPageVersion.V2);
Save("pages-v2", Fields(("text", text), ("n", whole)), newer(), 3);
Write("pages-v2-flags", Fields(("flag", BooleanType.Default)), newer(), 3,
    """{"flag":true}""", """{"flag":false}""");
Write("pages-v2-lists", Fields(("tags", List(text))), newer(), 3,
    """{"tags":["a","b"]}""", """{"tags":[]}""");
Write("lz4-frames", Fields(("text", text)), Writer(Compression.Lz4Hadoop), 3, """{"text":"framed"}""");
Save("encodings",
    Fields(("i32", Int32Type.Default), ("i64", whole), ("f32", FloatType.Default), ("f64", DoubleType.Default),
        ("lengths", text), ("prefixes", text)),
    Writer(Compression.Zstd).DisableDictionary().Encoding("i32", Encoding.DeltaBinaryPacked)
        .Encoding("i64", Encoding.DeltaBinaryPacked).Encoding("f32", Encoding.ByteStreamSplit)
        .Encoding("f64", Encoding.ByteStreamSplit).Encoding("lengths", Encoding.DeltaLengthByteArray)
        .Encoding("prefixes", Encoding.DeltaByteArray), 40);
Write("stamps-split", Fields(("at", new TimestampType(TimeUnit.Millisecond, "UTC"))),
    Writer(Compression.Zstd).DisableDictionary().Encoding(Encoding.ByteStreamSplit), 3,
    """{"at":"2024-02-29T12:34:56.789Z"}""");
var key = new byte[16];
foreach (var plainFooter in (bool[])[false, true])
{
    using var encryption = new FileEncryptionPropertiesBuilder(key);
    using var properties = (plainFooter ? encryption.SetPlaintextFooter() : encryption).Build();
    Write(plainFooter ? "encrypted-columns" : "encrypted", Fields(("text", text)),
        Writer(Compression.Uncompressed).Encryption(properties), 3, """{"text":"secret"}""");
}

WriterPropertiesBuilder Writer(Compression compression) => new WriterPropertiesBuilder().Compression(compression);

static ListType List(IArrowType item) => new(new Field("item", item, true));

static StructType Struct(params (string Name, IArrowType Type)[] fields) =>
    new([.. fields.Select(field => new Field(field.Name, field.Type, true))]);

static Apache.Arrow.Schema Fields(params (string Name, IArrowType Type)[] fields) =>
    new([.. fields.Select(field => new Field(field.Name, field.Type, true))], null);

void Save(string name, Apache.Arrow.Schema schema, WriterPropertiesBuilder writer, int groupRows) =>
    Write(name, schema, writer, groupRows, File.ReadAllLines(Path.Combine(output, name + ".jsonl")));

void Write(
    string name, Apache.Arrow.Schema schema, WriterPropertiesBuilder writer, int groupRows, params string[] rows)
{
    var values = rows.Select(row => JsonDocument.Parse(row).RootElement).ToList();
    var columns = schema.FieldsList.Select(field =>
        Column(field.DataType, [.. values.Select(row => Get(row, field.Name))])).ToList();
    using var properties = writer.Build();
    using var file = new FileWriter(Path.Combine(output, name + ".parquet"), schema, properties, null);
    using var batch = new RecordBatch(schema, columns, rows.Length);
    file.WriteRecordBatch(batch, groupRows);
    file.Close();
}

static JsonElement? Get(JsonElement row, string name) => Value(row.GetProperty(name));

static JsonElement? Value(JsonElement value) => value.ValueKind == JsonValueKind.Null ? null : value;

static IArrowArray Column(IArrowType type, List<JsonElement?> values)
{
    switch (type)
    {
        case StructType group:
            var parts = group.Fields.Select(field =>
                Column(field.DataType, [.. values.Select(value => value is { } row ? Get(row, field.Name) : null)]));
            return new StructArray(group, values.Count, parts, Valid(values, out var missing), missing);
        case MapType map:
            var entries = values.SelectMany(value => value is { } row ? row.EnumerateObject().ToList() : []).ToList();
            var pairs = new StructArray(
                new StructType([map.KeyField, map.ValueField]), entries.Count,
                [
                    new StringArray.Builder().AppendRange(entries.Select(entry => entry.Name)).Build(),
                    Column(map.ValueField.DataType, [.. entries.Select(entry => Value(entry.Value))]),
                ],
                ArrowBuffer.Empty, 0);
            return new MapArray(
                map, values.Count, Offsets(values.Select(value => value?.EnumerateObject().Count() ?? 0)), pairs,
                Valid(values, out missing), missing);
        case ListType list:
            var items = values.SelectMany(value => value is { } row ? row.EnumerateArray().Select(Value).ToList() : []);
            return new ListArray(
                list, values.Count, Offsets(values.Select(value => value?.GetArrayLength() ?? 0)),
                Column(list.ValueDataType, [.. items]), Valid(values, out missing), missing);
        case LargeStringType:
            var texts = values.Select(value => System.Text.Encoding.UTF8.GetBytes(value?.GetString() ?? "")).ToList();
            var ends = new ArrowBuffer.Builder<long>().Append(0);
            var total = 0L;
            texts.ForEach(bytes => ends.Append(total += bytes.Length));
            return new LargeStringArray(new ArrayData(
                type, values.Count, Missing(values), 0,
                [Valid(values, out _), ends.Build(), new ArrowBuffer(texts.SelectMany(bytes => bytes).ToArray())]));
        case StringType:
            return Fill(
                new StringArray.Builder(), values, (b, v) => b.Append(v.GetString()), b => b.AppendNull()).Build();
        case BooleanType:
            return Fill(
                new BooleanArray.Builder(), values, (b, v) => b.Append(v.GetBoolean()), b => b.AppendNull()).Build();
        case Int8Type:
            return Fill(
                new Int8Array.Builder(), values, (b, v) => b.Append(v.GetSByte()), b => b.AppendNull()).Build();
        case UInt8Type:
            return Fill(
                new UInt8Array.Builder(), values, (b, v) => b.Append(v.GetByte()), b => b.AppendNull()).Build();
        case Int16Type:
            return Fill(
                new Int16Array.Builder(), values, (b, v) => b.Append(v.GetInt16()), b => b.AppendNull()).Build();
        case UInt16Type:
            return Fill(
                new UInt16Array.Builder(), values, (b, v) => b.Append(v.GetUInt16()), b => b.AppendNull()).Build();
        case Int32Type:
            return Fill(
                new Int32Array.Builder(), values, (b, v) => b.Append(v.GetInt32()), b => b.AppendNull()).Build();
        case UInt32Type:
            return Fill(
                new UInt32Array.Builder(), values, (b, v) => b.Append(v.GetUInt32()), b => b.AppendNull()).Build();
        case Int64Type:
            return Fill(
                new Int64Array.Builder(), values, (b, v) => b.Append(v.GetInt64()), b => b.AppendNull()).Build();
        case UInt64Type:
            return Fill(
                new UInt64Array.Builder(), values, (b, v) => b.Append(v.GetUInt64()), b => b.AppendNull()).Build();
        case FloatType:
            return Fill(
                new FloatArray.Builder(), values, (b, v) => b.Append(v.GetSingle()), b => b.AppendNull()).Build();
        case DoubleType:
            return Fill(
                new DoubleArray.Builder(), values, (b, v) => b.Append(v.GetDouble()), b => b.AppendNull()).Build();
        case Date32Type:
            return Fill(
                new Date32Array.Builder(), values, (b, v) => b.Append(Time(v).UtcDateTime), b => b.AppendNull())
                .Build();
        case Decimal128Type digits:
            return Fill(
                new Decimal128Array.Builder(digits), values, (b, v) => b.Append(v.GetRawText()), b => b.AppendNull())
                .Build();
        case TimestampType stamp:
            // The builder drops what is below a microsecond.
            var ticks = stamp.Unit switch { TimeUnit.Millisecond => 10_000, TimeUnit.Microsecond => 10, _ => 1 };
            var factor = stamp.Unit == TimeUnit.Nanosecond ? 100 : 1;
            var counts = new ArrowBuffer.Builder<long>();
            counts.AppendRange(values.Select(value =>
                value is { } at ? (Time(at).UtcTicks - DateTimeOffset.UnixEpoch.Ticks) / ticks * factor : 0));
            return new TimestampArray(new ArrayData(
                type, values.Count, Missing(values), 0, [Valid(values, out _), counts.Build()]));
        default:
            throw new ArgumentException($"no array of {type.Name}");
    }
}

static DateTimeOffset Time(JsonElement value) => DateTimeOffset.Parse(
    value.GetString()!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

static T Fill<T>(T builder, List<JsonElement?> values, Action<T, JsonElement> add, Action<T> addNull)
{
    foreach (var value in values)
    {
        if (value is { } there)
        {
            add(builder, there);
        }
        else
        {
            addNull(builder);
        }
    }

    return builder;
}

static int Missing(List<JsonElement?> values) => values.Count(value => value is null);

static ArrowBuffer Valid(List<JsonElement?> values, out int missing)
{
    missing = Missing(values);
    var bits = new ArrowBuffer.BitmapBuilder();
    values.ForEach(value => bits.Append(value is not null));
    return bits.Build();
}

static ArrowBuffer Offsets(IEnumerable<int> lengths)
{
    var offsets = new ArrowBuffer.Builder<int>().Append(0);
    var end = 0;
    foreach (var length in lengths)
    {
        offsets.Append(end += length);
    }

    return offsets.Build();
}
