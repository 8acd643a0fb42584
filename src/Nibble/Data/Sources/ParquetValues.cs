using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Unicode;
using Parquet.Data;
using Parquet.Schema;

namespace Nibble.Data.Sources;

/// <summary>How the values of each Parquet type look in JSON.</summary>
internal static class ParquetValues
{
    /// <summary>The reader of a column.</summary>
    /// <param name="field">Column.</param>
    /// <exception cref="NotSupportedException">Its type has no JSON form.</exception>
    public static ParquetColumn Open(DataField field) => field switch
    {
        TimeDataField time when field.ClrType == typeof(int) =>
            new ParquetColumn<int>(field, (writer, value) => WriteTime(writer, value, time.Precision)),
        TimeDataField time =>
            new ParquetColumn<long>(field, (writer, value) => WriteTime(writer, value, time.Precision)),
        DateTimeDataField date => new ParquetColumn<DateTime>(field, DateWriter(date)),
        _ => OpenPlain(field),
    };

    private static ParquetColumn OpenPlain(DataField field)
    {
        var type = field.ClrType;
        return type switch
        {
            _ when type == typeof(ReadOnlyMemory<char>) =>
                new ParquetColumn<ReadOnlyMemory<char>>(field, (writer, value) => writer.WriteStringValue(value.Span)),
            _ when type == typeof(ReadOnlyMemory<byte>) => new ParquetColumn<ReadOnlyMemory<byte>>(field, WriteBytes),
            _ when type == typeof(bool) =>
                new ParquetColumn<bool>(field, (writer, value) => writer.WriteBooleanValue(value)),
            _ when type == typeof(int) =>
                new ParquetColumn<int>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(long) =>
                new ParquetColumn<long>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(double) => new ParquetColumn<double>(field, WriteDouble),
            // The datasets library widens it too: 0.1f is 0.10000000149011612.
            _ when type == typeof(float) =>
                new ParquetColumn<float>(field, (writer, value) => WriteDouble(writer, value)),
            _ when type == typeof(sbyte) =>
                new ParquetColumn<sbyte>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(byte) =>
                new ParquetColumn<byte>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(short) =>
                new ParquetColumn<short>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(ushort) =>
                new ParquetColumn<ushort>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(uint) =>
                new ParquetColumn<uint>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(ulong) =>
                new ParquetColumn<ulong>(field, (writer, value) => writer.WriteNumberValue(value)),
            _ when type == typeof(BigDecimal) => new ParquetColumn<BigDecimal>(field, WriteDecimal),
            _ when type == typeof(Guid) =>
                new ParquetColumn<Guid>(field, (writer, value) => writer.WriteStringValue(value)),
            _ => throw new NotSupportedException(
                $"column '{string.Join('.', field.Path.ToList())}' is of type {type.Name}, which has no JSON form; "
                + "leave it out"),
        };
    }

    private static void WriteDouble(Utf8JsonWriter writer, double value)
    {
        if (!double.IsFinite(value))
        {
            writer.WriteNullValue();
            return;
        }

        Span<char> text = stackalloc char[40];
        value.TryFormat(text, out var length, "R", CultureInfo.InvariantCulture);
        if (text[..length].IndexOfAny(".E") < 0)
        {
            // A float stays one in templates: 1.0, not 1.
            ".0".CopyTo(text[length..]);
            length += 2;
        }

        writer.WriteRawValue(text[..length], skipInputValidation: true);
    }

    private static void WriteDecimal(Utf8JsonWriter writer, BigDecimal value)
    {
        var digits = BigInteger.Abs(value.UnscaledValue)
            .ToString(CultureInfo.InvariantCulture).PadLeft(value.Scale + 1, '0');
        var sign = value.UnscaledValue.Sign < 0 ? "-" : string.Empty;
        var point = digits.Length - value.Scale;
        writer.WriteRawValue(
            value.Scale == 0 ? sign + digits : $"{sign}{digits[..point]}.{digits[point..]}", skipInputValidation: true);
    }

    private static void WriteBytes(Utf8JsonWriter writer, ReadOnlyMemory<byte> value)
    {
        if (Utf8.IsValid(value.Span))
        {
            writer.WriteStringValue(value.Span);
            return;
        }

        // No format takes an object for text: pixels are never trained on by mistake.
        writer.WriteStartObject();
        writer.WriteNumber("bytes", value.Length);
        writer.WriteEndObject();
    }

    private static Action<Utf8JsonWriter, DateTime> DateWriter(DateTimeDataField field)
    {
        if (field.DateTimeFormat == DateTimeFormat.Date)
        {
            return (writer, value) =>
                writer.WriteStringValue(value.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        }

        // INT96 has no time zone; the older annotations mean UTC, and so does the newer one where it says so.
        var isUtc = field.DateTimeFormat switch
        {
            DateTimeFormat.Timestamp => field.IsAdjustedToUTC,
            DateTimeFormat.Impala => false,
            _ => true,
        };
        var format = isUtc ? "yyyy-MM-ddTHH:mm:ss.FFFFFFFZ" : "yyyy-MM-ddTHH:mm:ss.FFFFFFF";
        return (writer, value) => writer.WriteStringValue(
            DateTime.SpecifyKind(value, isUtc ? DateTimeKind.Utc : DateTimeKind.Unspecified)
                .ToString(format, CultureInfo.InvariantCulture));
    }

    private static void WriteTime(Utf8JsonWriter writer, long value, TimeUnitPrecision unit)
    {
        var ticks = unit switch
        {
            TimeUnitPrecision.Millis => checked(value * TimeSpan.TicksPerMillisecond),
            TimeUnitPrecision.Micros => checked(value * TimeSpan.TicksPerMicrosecond),
            _ => value / TimeSpan.NanosecondsPerTick,
        };
        writer.WriteStringValue(new TimeOnly(ticks).ToString("HH:mm:ss.FFFFFFF", CultureInfo.InvariantCulture));
    }
}
