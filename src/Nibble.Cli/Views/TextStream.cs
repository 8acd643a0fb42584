using Nibble.Cli.Shell;
using Nibble.Data.Tokenizers;

namespace Nibble.Cli.Views;

/// <summary>Shows tokens as they come; a character whose bytes span tokens waits for its last.</summary>
/// <param name="terminal">Where to.</param>
/// <param name="tokenizer">Tokenizer.</param>
internal sealed class TextStream(Terminal terminal, HfTokenizer tokenizer)
{
    private readonly List<int> _waiting = [];

    /// <summary>Takes a token.</summary>
    /// <param name="id">Its id.</param>
    public void Add(int id)
    {
        _waiting.Add(id);
        var text = tokenizer.Decode([.. _waiting], skipSpecial: true);
        if (!text.EndsWith('\uFFFD') || _waiting.Count > 4)
        {
            terminal.Write(text);
            _waiting.Clear();
        }
    }

    /// <summary>Shows what still waits and ends the line.</summary>
    public void End()
    {
        terminal.Line(tokenizer.Decode([.. _waiting], skipSpecial: true));
        _waiting.Clear();
    }
}
