using System.Text.Json;
using Nibble.Cli.Shell;
using Nibble.Config;
using Nibble.Data;

namespace Nibble.Cli.Views;

/// <summary>What became of the rows.</summary>
internal static class DataView
{
    /// <summary>Prints both sides, unused fields and warnings.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="config">The run.</param>
    /// <param name="report">Counts.</param>
    public static void Show(Terminal terminal, RunConfig config, DataReport report)
    {
        var sheet = new Sheet("Data");
        foreach (var dataset in config.Data.Train)
        {
            sheet.Add("trains on", Name(dataset));
        }

        foreach (var dataset in config.Data.Test)
        {
            sheet.Add("evaluates on", Name(dataset));
        }

        Side(sheet, "training", report.Train, report.Eval is not null && config.Data.Test.Count == 0);
        if (report.Eval is { } eval)
        {
            Side(sheet, "evaluation", eval, isSplit: false);
        }
        else
        {
            sheet.Add("evaluation", "no rows: nothing tells whether the model gets better");
        }

        sheet.AddIf("unused fields", string.Join(", ", report.UnusedFields));
        sheet.Show(terminal);
        foreach (var warning in report.Warnings)
        {
            terminal.Warn(warning);
        }
    }

    /// <summary>Writes both sides as members.</summary>
    /// <param name="json">Writer, inside an object.</param>
    /// <param name="report">Counts.</param>
    public static void Write(Utf8JsonWriter json, DataReport report)
    {
        json.Object("data", () =>
        {
            json.Object("train", () => Side(json, report.Train));
            if (report.Eval is { } eval)
            {
                json.Object("eval", () => Side(json, eval));
            }
            else
            {
                json.WriteNull("eval");
            }

            json.List("unused_fields", report.UnusedFields, json.WriteStringValue);
            json.List("warnings", report.Warnings, json.WriteStringValue);
        });
    }

    private static string Name(DatasetOptions dataset) =>
        $"{dataset.Path} ({dataset.Type ?? "rows of input_ids and labels"})";

    private static void Side(Sheet sheet, string side, DataSummary summary, bool isSplit)
    {
        var lost = new List<string>();
        Lost(summary.Empty, "empty");
        Lost(summary.TooLong, "longer than sequence_len");
        Lost(summary.TooShort, "shorter than min_sample_len");
        Lost(summary.Duplicates, "duplicates");
        var kept = $"{Words.Count(summary.SamplesKept)} samples kept";
        if (summary.RowsRead > 0)
        {
            kept = $"{Words.Count(summary.RowsRead)} rows read, {kept}"
                + (isSplit ? " after the validation split" : "");
        }

        sheet.Add(side, kept + (lost.Count == 0 ? "" : $"; dropped: {string.Join(", ", lost)}")
            + (summary.Truncated > 0 ? $"; {Words.Count(summary.Truncated)} cut to sequence_len" : ""));
        var lengths = summary.LongestLength > 0
            ? $"; lengths {summary.ShortestLength} to {summary.LongestLength}, mean {summary.MeanLength:0.0}"
            : $"; mean length {summary.MeanLength:0.0}";
        sheet.Add("", $"{Words.Count(summary.Tokens)} tokens, {Words.Percent(summary.TrainedShare)} of them "
            + (side == "training" ? "train" : "count") + lengths);

        void Lost(long count, string why)
        {
            if (count > 0)
            {
                lost.Add($"{Words.Count(count)} {why}");
            }
        }
    }

    private static void Side(Utf8JsonWriter json, DataSummary summary)
    {
        json.WriteNumber("rows_read", summary.RowsRead);
        json.WriteNumber("samples_made", summary.SamplesMade);
        json.WriteNumber("samples_kept", summary.SamplesKept);
        json.WriteNumber("empty", summary.Empty);
        json.WriteNumber("too_short", summary.TooShort);
        json.WriteNumber("too_long", summary.TooLong);
        json.WriteNumber("truncated", summary.Truncated);
        json.WriteNumber("duplicates", summary.Duplicates);
        json.WriteNumber("longest", summary.LongestLength);
        json.WriteNumber("tokens", summary.Tokens);
        json.WriteNumber("trained_tokens", summary.TrainedTokens);
    }
}
