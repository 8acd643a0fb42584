using System.CommandLine;
using System.Globalization;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Hosting;
using Spectre.Console;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble selftest</c>.</summary>
internal sealed class SelftestVerb : Verb
{
    private readonly Option<string> _device = new("--device")
    {
        Description = "auto, cpu, cuda or cuda:N.",
        HelpName = "name",
        DefaultValueFactory = _ => "auto",
    };

    private readonly Option<string?> _filter =
        new("--filter") { Description = "Only cases whose name contains this.", HelpName = "text" };

    private readonly Option<bool> _json = JsonOption();

    public SelftestVerb()
        : base(
            "selftest",
            "Run every op case on a device against the double-precision reference; exit code 1 on a difference.")
    {
        _device.Validators.Add(result =>
        {
            var name = result.GetValueOrDefault<string>();
            if (name is not ("auto" or "cpu" or "cuda")
                && !(name.StartsWith("cuda:", StringComparison.Ordinal) && int.TryParse(name.AsSpan(5), out _)))
            {
                result.AddError($"--device: expected auto, cpu, cuda or cuda:N, found '{name}'.");
            }
        });
        Add(_device);
        Add(_filter);
        Add(_json);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var terminal = session.Terminal;
        var filter = arguments.GetValue(_filter);
        if (SelfTest.Count(filter) == 0)
        {
            throw new UsageException($"--filter: no case's name contains '{filter}'.");
        }

        var options = new EngineOptions(arguments.GetRequiredValue(_device), null, RecomputeMode.Never, null);
        var started = TimeProvider.System.GetTimestamp();
        var device = "";
        var results = session.Interruption.Graceful(stop =>
        {
            var done = new List<SelfTestResult>();
            foreach (var result in SelfTest.Run(
                options, filter, name => terminal.Note($"device: {device = name}"), stop))
            {
                done.Add(result);
                if (!result.Passed)
                {
                    terminal.Error($"{result.Op}: {result.Case}: {result.Detail}");
                }
            }

            return done;
        });
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        var failed = results.Count(r => !r.Passed);
        if (arguments.GetValue(_json))
        {
            ShowJson(terminal, device, results);
        }
        else
        {
            Show(terminal, results);
            terminal.Line($"{device}: {results.Count - failed} of {results.Count} cases agree with the reference "
                + $"({Words.Duration(seconds)}){(failed == 0 ? "" : $"; {failed} FAILED")}.");
        }

        return failed == 0 ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Show(Terminal terminal, List<SelfTestResult> results)
    {
        var table = new Table { Border = terminal.IsPlain ? TableBorder.Ascii : TableBorder.Simple };
        table.AddColumn("op");
        table.AddColumn(new TableColumn("cases").RightAligned());
        table.AddColumn(new TableColumn("failed").RightAligned());
        table.AddColumn(new TableColumn("worst error, share of its limit").RightAligned());
        foreach (var op in results.GroupBy(r => r.Op))
        {
            var failed = op.Count(r => !r.Passed);
            table.AddRow(
                new Text(op.Key), new Text($"{op.Count()}"),
                new Text($"{failed}", new Style(failed == 0 ? Color.Green : Color.Red)),
                new Text(op.Max(r => r.Worst).ToString("0.000", CultureInfo.InvariantCulture)));
        }

        terminal.Console.Write(table);
    }

    private static void ShowJson(Terminal terminal, string device, List<SelfTestResult> results) =>
        Json.Show(terminal, json =>
    {
        json.WriteString("device", device);
        json.WriteNumber("cases", results.Count);
        json.WriteNumber("failed", results.Count(r => !r.Passed));
        json.List("results", results, r => json.Item(() =>
        {
            json.WriteString("op", r.Op);
            json.WriteString("case", r.Case);
            json.WriteBoolean("passed", r.Passed);
            json.Number("worst", r.Worst);
            json.WriteString("detail", r.Detail);
        }));
    });
}
