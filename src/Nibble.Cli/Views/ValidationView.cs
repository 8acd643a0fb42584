using Nibble.Cli.Shell;
using Nibble.Validation;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>What the gate found.</summary>
internal static class ValidationView
{
    /// <summary>Prints every finding, details below the table, and the verdict last.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="report">Findings.</param>
    public static void Show(Terminal terminal, ValidationReport report)
    {
        var table = new Table { Border = terminal.IsPlain ? TableBorder.Ascii : TableBorder.Simple };
        table.AddColumn("check").AddColumn("status").AddColumn("expected").AddColumn("found");
        foreach (var finding in report.Findings)
        {
            table.AddRow(
                new Text(finding.Name), new Text(Word(finding.Status), Colour(finding.Status)),
                new Text(finding.Expected), new Text(finding.Found));
        }

        terminal.Console.Write(table);
        foreach (var finding in report.Findings.Where(f => f.Detail.Length > 0))
        {
            terminal.Line($"{finding.Name}:");
            Indented(terminal, finding.Detail);
        }

        terminal.Line();
        terminal.Line(
            $"{report.Folder}: {(report.Passed ? "passed" : "FAILED")}; {report.Count(CheckStatus.Pass)} passed, "
            + $"{Words.Plural(report.Count(CheckStatus.Warn), "warning")}, {report.Count(CheckStatus.Fail)} failed.");
    }

    /// <summary>Prints what failed.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="report">Findings.</param>
    public static void ShowProblems(Terminal terminal, ValidationReport report)
    {
        foreach (var finding in report.Findings.Where(f => f.Status == CheckStatus.Fail))
        {
            terminal.Error(
                $"{finding.Name}: expected {finding.Expected}, found {finding.Found}. {finding.Detail}".TrimEnd());
        }
    }

    private static void Indented(Terminal terminal, string text)
    {
        foreach (var line in text.ReplaceLineEndings("\n").Split('\n'))
        {
            terminal.Line("  " + line);
        }
    }

    private static string Word(CheckStatus status) => status switch
    {
        CheckStatus.Pass => "pass",
        CheckStatus.Warn => "warn",
        _ => "FAIL",
    };

    private static Style Colour(CheckStatus status) => new(status switch
    {
        CheckStatus.Pass => Color.Green,
        CheckStatus.Warn => Color.Yellow,
        _ => Color.Red,
    });
}
