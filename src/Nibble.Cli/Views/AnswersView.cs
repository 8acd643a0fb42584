using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Nibble.Cli.Shell;
using Nibble.Hosting;
using Nibble.Hosting.Answers;
using Nibble.Tensors;

namespace Nibble.Cli.Views;

/// <summary>What is asked about answers.</summary>
/// <param name="MaxNewTokens">Most tokens of an answer.</param>
/// <param name="File">Where answers are written, or null.</param>
/// <param name="Bash">Whether an installed bash parses them.</param>
internal sealed record AnswerWish(int MaxNewTokens, string? File, bool Bash);

/// <summary>Answers to evaluation rows, in figures and as lines of JSON.</summary>
internal sealed class AnswersView
{
    private const int Shown = 10;

    private readonly IReadOnlyList<Answer> _answers;
    private readonly AnswerMetrics _metrics;
    private readonly AnswerWish _wish;
    private readonly bool _isBashMissing;
    private readonly double _seconds;

    private AnswersView(IReadOnlyList<Answer> answers, AnswerWish wish, double seconds)
    {
        (_answers, _wish, _seconds) = (answers, wish, seconds);
        _isBashMissing = wish.Bash && !BashSyntax.IsInstalled();
        IReadOnlyList<bool>? parsed =
            wish.Bash && !_isBashMissing ? [.. answers.Select(a => BashSyntax.Parses(a.Text))] : null;
        _metrics = AnswerMetrics.Of(answers, parsed);
        if (wish.File is { } file)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            AtomicFile.WriteAllText(file, Lines(answers, parsed));
        }
    }

    /// <summary>Answers the rows and writes them where they were asked for.</summary>
    /// <param name="runtime">Model.</param>
    /// <param name="prompts">Rows.</param>
    /// <param name="wish">How.</param>
    /// <param name="terminal">Told how far it is.</param>
    /// <param name="stop">Cancels.</param>
    public static AnswersView Collect(
        AdapterRuntime runtime, IReadOnlyList<AnswerPrompt> prompts, AnswerWish wish, Terminal terminal,
        CancellationToken stop)
    {
        terminal.Note($"answering {Words.Count(prompts.Count)} rows");
        var started = TimeProvider.System.GetTimestamp();
        var answers = runtime.Answer(prompts, wish.MaxNewTokens, cancellation: stop);
        return new AnswersView(answers, wish, TimeProvider.System.GetElapsedTime(started).TotalSeconds);
    }

    /// <summary>Shows rates and the first answers.</summary>
    /// <param name="terminal">Where to.</param>
    public void Show(Terminal terminal)
    {
        new Sheet("Answers")
            .Add("exact match", Rate(_metrics.ExactMatch))
            .Add("command only", Rate(_metrics.CommandOnly))
            .Add("same program", Rate(_metrics.SameProgram))
            .Add("ended by itself", Rate(_metrics.Terminated))
            .AddIf("parsed by bash", _isBashMissing ? "bash is not installed: not measured"
                : _metrics.BashSyntax is { } parsed ? Rate(parsed) : null)
            .Add("length", string.Create(CultureInfo.InvariantCulture, $"{_metrics.MeanTokens:0.0} tokens on average"))
            .Add("time", Words.Duration(_seconds))
            .AddIf("written to", _wish.File)
            .Show(terminal);
        foreach (var answer in _answers.Take(Shown))
        {
            terminal.Line($"  {(answer.IsExact ? "=" : "≠")} {OneLine(answer.Text)}");
            if (!answer.IsExact)
            {
                terminal.Line($"    {OneLine(answer.Reference)}");
            }
        }

        terminal.Line();
    }

    /// <summary>Writes the rates as a member of a JSON object.</summary>
    /// <param name="json">Writer.</param>
    public void Write(Utf8JsonWriter json) => json.Object("answers", () =>
    {
        json.WriteNumber("rows", _metrics.Rows);
        json.Number("exact_match", _metrics.ExactMatch);
        json.Number("command_only", _metrics.CommandOnly);
        json.Number("same_program", _metrics.SameProgram);
        json.Number("terminated", _metrics.Terminated);
        json.Number("bash_syntax", _metrics.BashSyntax);
        json.Number("mean_tokens", _metrics.MeanTokens);
        json.WriteNumber("max_new_tokens", _wish.MaxNewTokens);
        json.Number("seconds", _seconds);
        json.WriteString("file", _wish.File);
    });

    private string Rate(double share) => string.Create(
        CultureInfo.InvariantCulture,
        $"{share * 100:0.0} % ({Math.Round(share * _metrics.Rows):0} of {_metrics.Rows})");

    private static string OneLine(string text) => text.Replace("\n", "⏎", StringComparison.Ordinal);

    private static string Lines(IReadOnlyList<Answer> answers, IReadOnlyList<bool>? parsed)
    {
        using var stream = new MemoryStream();
        for (var i = 0; i < answers.Count; i++)
        {
            var answer = answers[i];
            using (var json = new Utf8JsonWriter(
                stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            {
                json.WriteStartObject();
                json.WriteString("origin", answer.Origin);
                json.WriteString("prompt", answer.Prompt);
                json.WriteString("reference", answer.Reference);
                json.WriteString("answer", answer.Text);
                json.WriteNumber("tokens", answer.Tokens);
                json.WriteBoolean("exact_match", answer.IsExact);
                json.WriteBoolean("command_only", answer.IsCommand);
                json.WriteBoolean("same_program", answer.IsSameProgram);
                json.WriteBoolean("terminated", answer.Terminated);
                if (parsed is not null)
                {
                    json.WriteBoolean("bash_syntax", parsed[i]);
                }

                json.WriteEndObject();
            }

            stream.WriteByte((byte)'\n');
        }

        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }
}
