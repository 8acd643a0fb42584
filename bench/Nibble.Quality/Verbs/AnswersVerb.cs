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
        var after = new Argument<FileInfo>("after") { Description = "Answers of the fine-tuned model to the same rows." };
        var count = new Option<int>("--count") { Description = "Rows shown, evenly spaced.", DefaultValueFactory = _ => 10 };
        var write = new Option<FileInfo?>("--write") { Description = "Markdown file that receives the table." };
        var command = new Command("answers", "A table of base and fine-tuned answers to the same requests.") { before, after, count, write };
        command.SetAction(arguments =>
        {
            var table = Table(
                Read(arguments.GetRequiredValue(before)), Read(arguments.GetRequiredValue(after)), arguments.GetValue(count));
            Console.Write(table);
            if (arguments.GetValue(write) is { } file)
            {
                AtomicFile.WriteAllText(file.FullName, table);
            }

            return 0;
        });
        return command;
    }

    /// <summary>The table: request, base, fine-tuned, and a mark where the answer is the row's own to the last character.</summary>
    /// <param name="before">Lines of the base model's answers.</param>
    /// <param name="after">Lines of the fine-tuned model's.</param>
    /// <param name="count">Rows shown.</param>
    /// <exception cref="InvalidDataException">The files are about different rows.</exception>
    internal static string Table(IReadOnlyList<string> before, IReadOnlyList<string> after, int count)
    {
        var (first, second) = (before.Select(Row.Parse).ToList(), after.Select(Row.Parse).ToList());
        if (first.Count == 0 || !first.Select(r => r.Prompt).SequenceEqual(second.Select(r => r.Prompt)))
        {
            throw new InvalidDataException(
                $"expected answers to the same rows, found {first.Count} and {second.Count} that differ: make both with the same config.");
        }

        var text = new StringBuilder("| request | base | fine-tuned | |\n|---|---|---|---|\n");
        var shown = Math.Min(count, first.Count);
        for (var i = 0; i < shown; i++)
        {
            // No row is chosen for its answer.
            var at = (int)((i + 0.5) * first.Count / shown);
            text.Append($"| {Cell(first[at].Request)} | {Code(first[at].Answer)} | {Code(second[at].Answer)} | {(second[at].IsExact ? "✓" : "")} |\n");
        }

        string Rates(string name, List<Row> rows) => $"{name}: {rows.Count(r => r.IsExact) / (double)rows.Count:P1} right to the last character, "
            + $"{rows.Count(r => r.IsSameProgram) / (double)rows.Count:P1} the right program, {rows.Count(r => r.IsCommand) / (double)rows.Count:P1} a command and nothing else";
        return text.Append($"\nOf all {first.Count} rows, {Rates("base", first)}; {Rates("fine-tuned", second)}.\n").ToString();
    }

    private static string[] Read(FileInfo file) => [.. File.ReadLines(file.FullName).Where(line => line.Length > 0)];

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("\n", "⏎", StringComparison.Ordinal);

    private static string Code(string text) => text.Length == 0 ? "" : text.Contains('`') ? $"`` {Cell(text)} ``" : $"`{Cell(text)}`";

    private sealed record Row(string Prompt, string Answer, bool IsExact, bool IsCommand, bool IsSameProgram)
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
            return new Row(
                row.GetProperty("prompt").GetString()!, row.GetProperty("answer").GetString()!, row.GetProperty("exact_match").GetBoolean(),
                row.GetProperty("command_only").GetBoolean(), row.GetProperty("same_program").GetBoolean());
        }
    }
}
