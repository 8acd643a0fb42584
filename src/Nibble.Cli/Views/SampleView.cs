using System.Text;
using Nibble.Cli.Shell;
using Nibble.Data;
using Nibble.Data.Tokenizers;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>Rows as the model sees them.</summary>
internal sealed class SampleView
{
    private readonly Terminal _terminal;
    private readonly HfTokenizer _tokenizer;
    private readonly HashSet<int> _terminators = [];

    /// <summary>Prepares to show samples.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="tokenizer">Tokenizer of the run.</param>
    /// <param name="endOfTurn">The run's own end-of-turn tokens.</param>
    public SampleView(Terminal terminal, HfTokenizer tokenizer, IReadOnlyList<string> endOfTurn)
    {
        (_terminal, _tokenizer) = (terminal, tokenizer);
        var ends = endOfTurn.Append("<|im_end|>").Append("<|eot_id|>").Select(tokenizer.TokenToId);
        foreach (var id in ends.Append(tokenizer.EosId))
        {
            if (id is { } known)
            {
                _terminators.Add(known);
            }
        }
    }

    /// <summary>Says how to read what follows.</summary>
    public void ShowLegend()
    {
        if (_terminal.IsPlain)
        {
            _terminal.Line("What trains stands in [[ ]]; the rest is context. A label stands at its own token.");
        }
        else
        {
            _terminal.Markup(
                "[green]trains[/], [grey]is context[/], [magenta]ends a turn or the text[/]. "
                + "A label stands at its own token.");
        }
    }

    /// <summary>Prints one sample.</summary>
    /// <param name="index">Its place in the shuffled order.</param>
    /// <param name="sample">Tokens and labels.</param>
    /// <param name="table">Whether every token gets a row.</param>
    public void Show(int index, Sample sample, bool table)
    {
        _terminal.Line();
        _terminal.Markup($"[bold]sample {index}[/], {Markup.Escape(sample.Origin)}: {sample.InputIds.Length} tokens, "
            + $"{sample.TrainedTokens} predictions train");
        ShowText(sample);
        if (table)
        {
            ShowTable(sample);
        }
    }

    private void ShowText(Sample sample)
    {
        var text = new StringBuilder();
        var start = 0;
        for (var i = 1; i <= sample.InputIds.Length; i++)
        {
            if (i == sample.InputIds.Length || Trains(sample, i) != Trains(sample, start))
            {
                var span = _tokenizer.Decode(sample.InputIds.AsSpan(start, i - start), skipSpecial: false);
                text.Append(_terminal.IsPlain
                    ? Trains(sample, start) ? $"[[{span}]]" : span
                    : $"[{(Trains(sample, start) ? "green" : "grey")}]{Markup.Escape(span)}[/]");
                start = i;
            }
        }

        if (_terminal.IsPlain)
        {
            _terminal.Line(text.ToString());
        }
        else
        {
            _terminal.Markup(text.ToString());
        }
    }

    private void ShowTable(Sample sample)
    {
        var table = new Table { Border = _terminal.IsPlain ? TableBorder.Ascii : TableBorder.Simple };
        table.AddColumn(new TableColumn("position").RightAligned());
        table.AddColumn(new TableColumn("id").RightAligned());
        table.AddColumn("token");
        table.AddColumn(new TableColumn("label").RightAligned());
        table.AddColumn("");
        for (var i = 0; i < sample.InputIds.Length; i++)
        {
            var id = sample.InputIds[i];
            var trains = Trains(sample, i);
            var style = new Style(_terminators.Contains(id) ? Color.Magenta1 : trains ? Color.Green : Color.Grey);

            // The label of the first token is never predicted: nothing stands before it.
            var note = !trains ? "" : i == 0 ? "first: nothing predicts it" : "trains";
            note += _terminators.Contains(id) ? (note.Length > 0 ? ", " : "") + "terminator" : "";
            table.AddRow(
                new Text($"{i}"), new Text($"{id}"), new Text(Visible(id), style),
                new Text(trains ? $"{sample.Labels[i]}" : $"{Sample.Masked}"), new Text(note));
        }

        _terminal.Console.Write(table);
    }

    private static bool Trains(Sample sample, int position) => sample.Labels[position] != Sample.Masked;

    private string Visible(int id)
    {
        var text = _tokenizer.Decode([id], skipSpecial: false);
        return text
            .Replace("\r", "\\r", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal)
            .Replace("\t", "\\t", StringComparison.Ordinal)
            .Replace(' ', '·');
    }
}
