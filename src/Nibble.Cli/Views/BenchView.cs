using System.Globalization;
using System.Text;
using System.Text.Json;
using Nibble.Cli.Shell;
using Nibble.Hosting.Benchmarks;
using Nibble.Tensors;

namespace Nibble.Cli.Views;

/// <summary>A benchmark and the name of its row.</summary>
/// <param name="Title">Row of the table; empty for a single run.</param>
/// <param name="Result">What was measured.</param>
internal sealed record BenchRow(string Title, TrainBenchmarkResult Result);

/// <summary>Benchmarks as text, JSON and Markdown.</summary>
internal static class BenchView
{
    private const double Gib = 1L << 30;

    /// <summary>Prints one benchmark.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="title">Its name.</param>
    /// <param name="result">What was measured.</param>
    public static void Show(Terminal terminal, string title, TrainBenchmarkResult result)
    {
        var sheet = new Sheet(title.Length == 0 ? result.Name : title);
        sheet.Add("run", result.Name)
            .Add("plan", result.Plan)
            .Add(
                "step",
                Text($"{result.SecondsPerStep:0.0000} s, {result.TokensPerStep / result.SecondsPerStep:N0} tokens/s"))
            .Add(
                "matrix rate",
                Text($"{result.MatrixFlops / result.SecondsPerStep / 1e12:0} TFLOP/s useful, ")
                + $"{Words.Percent(result.MatrixShare)} of a large product's")
            .Add("memory", Memory(result));
        if (result.BusyShare is { } busy)
        {
            sheet.Add("device busy", Words.Percent(busy));
        }

        foreach (var (item, bytes) in result.Ledger)
        {
            sheet.Add("  " + item, Text($"{bytes / Gib:0.000} GiB"));
        }

        sheet.Show(terminal);
        foreach (var row in result.Profile)
        {
            terminal.Line(Text($"  {row.Op,-20} {1e3 * row.Seconds,9:0.000} ms {row.Calls,6} calls"));
        }
    }

    /// <summary>Prints all as one object.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="rows">Benchmarks.</param>
    public static void ShowJson(Terminal terminal, IReadOnlyList<BenchRow> rows) =>
        Json.Show(terminal, json => json.List("results", rows, row => json.Item(() => Write(json, row))));

    /// <summary>Writes <c>train.md</c> and <c>train.json</c>.</summary>
    /// <param name="folder">Where to.</param>
    /// <param name="rows">Benchmarks.</param>
    /// <param name="command">The command that made them.</param>
    public static void Write(string folder, IReadOnlyList<BenchRow> rows, string command)
    {
        Directory.CreateDirectory(folder);
        var date = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = new StringBuilder();
        text.Append($"# Training steps on {rows[0].Result.Device}\n\nMade by `{command}` on {date}. ");
        text.Append("Synthetic weights and rows, the real trainer; `floor` is the useful matrix work ");
        text.Append("at the rate that a large bf16 product holds for half a second right after the steps.\n\n");
        text.Append("| run | s / step | tokens/s | floor, s | matrix share | device memory, GiB (ledger) | plan |\n");
        text.Append("|---|---|---|---|---|---|---|\n");
        foreach (var (title, r) in rows)
        {
            text.Append($"| {(title.Length == 0 ? r.Name : title)} ");
            text.Append(Text($"| {r.SecondsPerStep:0.0000} | {r.TokensPerStep / r.SecondsPerStep:N0} "));
            text.Append(Text($"| {r.MatrixFlops / r.PeakRate:0.0000} | {100 * r.MatrixShare:0} % "));
            text.Append($"| {Memory(r)} | {r.Plan} |\n");
        }

        foreach (var (title, r) in rows.Where(r => r.Result.Profile.Count > 0))
        {
            text.Append($"\n## {(title.Length == 0 ? r.Name : title)}: where a step goes\n\n");
            text.Append("| op | ms | calls | share |\n|---|---|---|---|\n");
            var total = r.Profile.Sum(p => p.Seconds);
            foreach (var p in r.Profile)
            {
                text.Append(
                    Text($"| {p.Op} | {1e3 * p.Seconds:0.000} | {p.Calls} | {100 * p.Seconds / total:0.0} % |\n"));
            }

            text.Append(
                "\nEvery op is waited for here, which costs small ones some microseconds each; "
                + "the step above does not wait.\n");
        }

        AtomicFile.WriteAllText(Path.Combine(folder, "train.md"), text.ToString());
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("command", command);
            json.WriteString("date", date);
            json.List("results", rows, row => json.Item(() => Write(json, row)));
            json.WriteEndObject();
        }

        AtomicFile.WriteAllBytes(Path.Combine(folder, "train.json"), stream.ToArray());
    }

    private static void Write(Utf8JsonWriter json, BenchRow row)
    {
        var (title, r) = row;
        json.WriteString("title", title);
        json.WriteString("name", r.Name);
        json.WriteString("device", r.Device);
        json.WriteString("plan", r.Plan);
        json.Number("seconds_per_step", r.SecondsPerStep);
        json.WriteNumber("tokens_per_step", r.TokensPerStep);
        json.Number("matrix_flops", r.MatrixFlops);
        json.Number("peak_flops_per_second", r.PeakRate);
        json.Number("matrix_share", r.MatrixShare);
        json.Number("device_busy", r.BusyShare);
        json.Number("process_bytes", r.ProcessBytes);
        json.WriteNumber("ledger_bytes", r.LedgerBytes);
        json.List("ledger", r.Ledger, i => json.Item(() =>
        {
            json.WriteString("item", i.Item);
            json.WriteNumber("bytes", i.Bytes);
        }));
        json.List("profile", r.Profile, p => json.Item(() =>
        {
            json.WriteString("op", p.Op);
            json.Number("seconds", p.Seconds);
            json.WriteNumber("calls", p.Calls);
        }));
    }

    private static string Memory(TrainBenchmarkResult r) => r.ProcessBytes is { } bytes
        ? Text($"{bytes / Gib:0.00} ({r.LedgerBytes / Gib:0.00})")
        : Text($"not measured ({r.LedgerBytes / Gib:0.00})");

    private static string Text(FormattableString text) => FormattableString.Invariant(text);
}
