using Nibble.Cli.Shell;
using Nibble.Config;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>What became of every key.</summary>
internal static class KeyView
{
    /// <summary>Prints a row per key.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="keys">Keys in the order of the file.</param>
    public static void Show(Terminal terminal, IReadOnlyList<KeyReport> keys)
    {
        if (keys.Count == 0)
        {
            return;
        }

        var table = new Table { Border = terminal.IsPlain ? TableBorder.Ascii : TableBorder.Simple };
        table.AddColumn("key").AddColumn("value").AddColumn("from").AddColumn("status").AddColumn("effect");
        foreach (var key in keys)
        {
            table.AddRow(
                new Text(key.Key), new Text(Short(key.Value)), new Text(key.Source),
                new Text(Word(key.Status), Colour(key.Status)), new Text(key.Effective));
        }

        terminal.Console.Write(table);
    }

    /// <summary>A status in a word.</summary>
    /// <param name="status">Status.</param>
    public static string Word(KeyStatus status) => status switch
    {
        KeyStatus.Honoured => "honoured",
        KeyStatus.Equivalent => "equivalent",
        KeyStatus.Refused => "refused",
        KeyStatus.Later => "not yet",
        _ => "ignored",
    };

    private static Style Colour(KeyStatus status) => new(status switch
    {
        KeyStatus.Honoured => Color.Green,
        KeyStatus.Equivalent => Color.Aqua,
        KeyStatus.Ignored => Color.Yellow,
        _ => Color.Red,
    });

    private static string Short(string value) => value.Length <= 48 ? value : value[..47] + "…";
}
