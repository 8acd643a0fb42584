using System.Text.Json;
using Nibble.Data.Sources;

namespace Nibble.Data.Formats;

/// <summary>
/// Pre-tokenised rows: <c>input_ids</c> and <c>labels</c> as they are. Positions that <c>attention_mask</c> marks as
/// padding are left out: padding is known by position, never by id.
/// </summary>
internal sealed class TokenFormat(FormatContext context) : IRowFormat
{
    private const string Setting = "Rows without type need input_ids and labels; set type when they hold text.";

    public IReadOnlyCollection<string> Fields { get; } =
        ["input_ids", "labels", "attention_mask", "position_ids", "length"];

    public void Tokenize(Row row, List<Sample> output)
    {
        var vocabulary = context.Tokenizer.VocabularySize;
        var ids = Read(row, "input_ids", row.Require("input_ids", Setting), 0, vocabulary - 1);
        var labels = Read(row, "labels", row.Require("labels", Setting), 0, vocabulary - 1, Sample.Masked);
        SameLength(row, "labels", labels, ids);
        if (row.Find("attention_mask") is { } mask)
        {
            var keep = Read(row, "attention_mask", mask, 0, int.MaxValue);
            SameLength(row, "attention_mask", keep, ids);
            if (Array.IndexOf(keep, 0) >= 0)
            {
                ids = [.. ids.Where((_, i) => keep[i] != 0)];
                labels = [.. labels.Where((_, i) => keep[i] != 0)];
            }
        }

        if (ids.Length > 0)
        {
            output.Add(new Sample(ids, labels, row.Origin));
        }
    }

    private static void SameLength(Row row, string field, int[] values, int[] ids)
    {
        if (values.Length != ids.Length)
        {
            throw new DatasetException(
                $"{row.Origin}: {field} has {values.Length} entries, input_ids has {ids.Length}; "
                + "they belong position by position.");
        }
    }

    private static int[] Read(Row row, string field, JsonElement array, int lowest, int highest, int? also = null)
    {
        if (array.ValueKind != JsonValueKind.Array)
        {
            throw row.Wrong(field, "an array of whole numbers", array);
        }

        var values = new int[array.GetArrayLength()];
        var at = 0;
        foreach (var element in array.EnumerateArray())
        {
            if (element.ValueKind != JsonValueKind.Number || !element.TryGetInt32(out var value))
            {
                throw row.Wrong($"{field}[{at}]", "a whole number", element);
            }

            if ((value < lowest || value > highest) && value != also)
            {
                throw new DatasetException(
                    $"{row.Origin}: {field}[{at}] is {value}; the tokenizer's ids go from {lowest} to {highest}"
                    + $"{(also is null ? string.Empty : $", and {also} masks")}. "
                    + "Were the rows made with another tokenizer?");
            }

            values[at++] = value;
        }

        return values;
    }
}
