using Nibble.Cli.Shell;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>A titled list of facts, their names in one column.</summary>
/// <param name="title">Heading.</param>
internal sealed class Sheet(string title)
{
    private readonly List<(string Name, string Value)> _facts = [];

    /// <summary>Adds a fact.</summary>
    /// <param name="name">What.</param>
    /// <param name="value">Without markup.</param>
    public Sheet Add(string name, string value)
    {
        _facts.Add((name, value));
        return this;
    }

    /// <summary>Adds a fact when there is one.</summary>
    /// <param name="name">What.</param>
    /// <param name="value">Without markup; null or empty adds nothing.</param>
    public Sheet AddIf(string name, string? value) => string.IsNullOrEmpty(value) ? this : Add(name, value);

    /// <summary>Writes the list and an empty line.</summary>
    /// <param name="terminal">Where to.</param>
    public void Show(Terminal terminal)
    {
        terminal.Markup($"[bold]{Markup.Escape(title)}[/]");
        var width = _facts.Max(f => f.Name.Length);
        foreach (var (name, value) in _facts)
        {
            terminal.Line($"  {name.PadRight(width)}  {value}");
        }

        terminal.Line();
    }
}
