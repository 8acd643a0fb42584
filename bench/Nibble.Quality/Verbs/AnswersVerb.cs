using System.CommandLine;
using System.Text;
using System.Text.Json;
using Nibble.Tensors;

namespace Nibble.Quality.Verbs;

/// <summary><c>answers</c>: what <c>nibble evaluate --answers --out</c> wrote for two models, side by side.</summary>
internal static class AnswersVerb
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var before = new Argument<FileInfo>("before") { Description = "Answers of the base model." };
        var after =
            new Argument<FileInfo>("after") { Description = "Answers of the fine-tuned model to the same rows." };
        var count = new Option<int>("--count")
        {
            Description = "Rows shown at most: every n-th of their file, from the first.",
            DefaultValueFactory = _ => 10,
        };
        var write = new Option<FileInfo?>("--write") { Description = "Markdown file that receives the table." };
        var command = new Command("answers", "A table of base and fine-tuned answers to the same requests.")
        {
            before, after, count, write,
        };
        command.SetAction(arguments =>
        {
            var table = Table(
                Read(arguments.GetRequiredValue(before)), Read(arguments.GetRequiredValue(after)),
                arguments.GetValue(count));
            Console.Write(table);
            if (arguments.GetValue(write) is { } file)
            {
                AtomicFile.WriteAllText(file.FullName, table);
            }

            return 0;
        });
        return command;
    }

    /// <summary>The table: request, base, fine-tuned, and a mark where the answer is the row's own to the last
    /// character, or what the row says.</summary>
    /// <param name="before">Lines of the base model's answers.</param>
    /// <param name="after">Lines of the fine-tuned model's.</param>
    /// <param name="count">Rows shown.</param>
    /// <exception cref="InvalidDataException">The files are about different rows.</exception>
    internal static string Table(IReadOnlyList<string> before, IReadOnlyList<string> after, int count)
    {
        var (first, second) = (Rows(before), Rows(after));
        if (first.Count == 0 || !first.Select(r => r.Prompt).SequenceEqual(second.Select(r => r.Prompt)))
        {
            throw new InvalidDataException(
                $"expected answers to the same rows, found {first.Count} and {second.Count} that differ: "
                + "make both with the same config.");
        }

        var text = new StringBuilder(
            "| request | base | fine-tuned | right, or what it should have been |\n|---|---|---|---|\n");
        // No row is chosen for its answer.
        for (var i = 0; i < first.Count; i += (first.Count + count - 1) / count)
        {
            text.Append($"| {Cell(first[i].Request)} | {Code(first[i].Answer)} | {Code(second[i].Answer)} | "
                + $"{(second[i].IsExact ? "✓" : Code(second[i].Reference))} |\n");
        }

        string Rates(string name, List<Row> rows) =>
            $"{name}: {rows.Count(r => r.IsExact) / (double)rows.Count:P1} right to the last character, "
            + $"{rows.Count(r => r.IsSameProgram) / (double)rows.Count:P1} the right program, "
            + $"{rows.Count(r => r.IsCommand) / (double)rows.Count:P1} a command and nothing else";
        return text.Append($"\nOf all {first.Count} rows, {Rates("base", first)}; {Rates("fine-tuned", second)}.\n")
            .ToString();
    }

    // In the order of their file, which the pipeline shuffles.
    private static List<Row> Rows(IReadOnlyList<string> lines) => [.. lines.Select(Row.Parse).OrderBy(r => r.Line)];

    private static string[] Read(FileInfo file) => [.. File.ReadLines(file.FullName).Where(line => line.Length > 0)];

    private static string Cell(string text) =>
        text.Replace("|", "\\|", StringComparison.Ordinal).Replace("\n", "⏎", StringComparison.Ordinal);

    private static string Code(string text) =>
        text.Length == 0 ? "" : text.Contains('`') ? $"`` {Cell(text)} ``" : $"`{Cell(text)}`";

    private sealed record Row(
        int Line, string Prompt, string Reference, string Answer, bool IsExact, bool IsCommand, bool IsSameProgram)
    {
        // What stands between the last "user" and the end of that turn.
        public string Request
        {
            get
            {
                const string Opening = "<|im_start|>user\n";
                var at = Prompt.LastIndexOf(Opening, StringComparison.Ordinal);
                var text = at < 0 ? Prompt : Prompt[(at + Opening.Length)..];
                return text.IndexOf("<|im_end|>", StringComparison.Ordinal) is var end and >= 0 ? text[..end] : text;
            }
        }

        public static Row Parse(string line)
        {
            using var document = JsonDocument.Parse(line);
            var row = document.RootElement;
            var origin = row.GetProperty("origin").GetString()!;
            return new Row(
                int.Parse(origin.AsSpan(origin.LastIndexOf(':') + 1)), row.GetProperty("prompt").GetString()!,
                row.GetProperty("reference").GetString()!, row.GetProperty("answer").GetString()!,
                row.GetProperty("exact_match").GetBoolean(),
                row.GetProperty("command_only").GetBoolean(), row.GetProperty("same_program").GetBoolean());
        }
    }
}
