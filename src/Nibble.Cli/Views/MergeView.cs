using System.Globalization;
using Nibble.Checkpoints;
using Nibble.Cli.Shell;
using Nibble.Hosting;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>A merged model, and how close it is to what was trained.</summary>
internal static class MergeView
{
    /// <summary>Prints facts, the models side by side, and the verdicts.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="merged">What came of merging.</param>
    public static void Show(Terminal terminal, ModelMergeResult merged)
    {
        var report = merged.Report;
        new Sheet("Merged")
            .Add("adapter", report.Adapter)
            .Add("base", report.BaseModel)
            .Add("modules", string.Create(
                CultureInfo.InvariantCulture, $"{Words.Count(report.Modules)}, scaled by {report.Scaling:0.####}"))
            .Add("folder", $"{merged.Folder}, {Words.Bytes(merged.Bytes)} of weights in {report.StorageType}")
            .Show(terminal);
        if (report.Measurement is not { } measured)
        {
            terminal.Line($"Not measured: how close the merged model is to what was trained is unknown.");
            return;
        }

        terminal.Line(
            $"On {Words.Count(measured.Tokens)} answer tokens of {Words.Plural(measured.Samples, "row")} "
            + $"({measured.Rows}), {measured.Device}:");
        var table = new Table { Border = terminal.IsPlain ? TableBorder.Ascii : TableBorder.Simple };
        table.AddColumn("model").AddColumn("loss per token").AddColumn("KL from trained").AddColumn("same top token");
        foreach (var model in measured.Models)
        {
            table.AddRow(
                model.Description, Words.Loss(model.Loss), Divergence(model.FromTrained), Top(model.FromTrained));
        }

        table.AddRow(
            "rounding of the merge alone", "", Divergence(measured.Rounding), Top(measured.Rounding));
        terminal.Console.Write(table);
        foreach (var verdict in measured.Verdicts)
        {
            terminal.Line(
                $"{verdict.Name}: {(verdict.Passed ? "passed" : "FAILED")}; expected {verdict.Expected}; "
                + $"found {verdict.Found} ({verdict.Reason}).");
        }

        terminal.Line();
    }

    private static string Divergence(ModelDistance? distance) =>
        distance is null ? "" : distance.Divergence.ToString("0.00e+00", CultureInfo.InvariantCulture);

    private static string Top(ModelDistance? distance) => distance is null ? "" : Words.Percent(distance.SameTop);
}
