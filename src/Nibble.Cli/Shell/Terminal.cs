using System.Text;
using Spectre.Console;

namespace Nibble.Cli.Shell;

/// <summary>Where results and messages go: results to standard output, messages to standard error.</summary>
internal sealed class Terminal
{
    // Wide enough that no line of a log file is broken; tables take only what they need.
    private const int RedirectedWidth = 200;

    private readonly TextWriter _out = System.Console.Out;
    private readonly TextWriter _error = System.Console.Error;

    private Terminal(IAnsiConsole console, bool plain, bool live)
    {
        (Console, IsPlain, IsLive) = (console, plain, live);
    }

    /// <summary>Tables and markup, on standard output.</summary>
    public IAnsiConsole Console { get; }

    /// <summary>Whether nothing is coloured.</summary>
    public bool IsPlain { get; }

    /// <summary>Whether a person watches a terminal, so that lines may be redrawn.</summary>
    public bool IsLive { get; }

    /// <summary>Opens standard output and error.</summary>
    /// <param name="plain">No colours, no control sequences, no redrawing.</param>
    public static Terminal Open(bool plain)
    {
        var redirected = System.Console.IsOutputRedirected;
        plain |= redirected || Surroundings.DumbTerminal;
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = plain ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = plain || Surroundings.NoColor ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = plain ? InteractionSupport.No : InteractionSupport.Detect,
            Out = new AnsiConsoleOutput(System.Console.Out),
        });
        if (redirected)
        {
            console.Profile.Width = RedirectedWidth;
        }

        return new Terminal(console, plain, !plain && console.Profile.Capabilities.Ansi);
    }

    /// <summary>Makes the streams speak UTF-8, where that can be set.</summary>
    public static void UseUtf8()
    {
        try
        {
            System.Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        }
        catch (IOException)
        {
            // A console that refuses keeps its own encoding; ASCII is still right.
        }
    }

    /// <summary>A line of results, never wrapped.</summary>
    /// <param name="text">Without markup.</param>
    public void Line(string text = "") => _out.WriteLine(text);

    /// <summary>Results without a line break.</summary>
    /// <param name="text">Without markup.</param>
    public void Write(string text) => _out.Write(text);

    /// <summary>A line that may be coloured.</summary>
    /// <param name="markup">Spectre markup; what comes from outside is escaped.</param>
    public void Markup(string markup) => Console.MarkupLine(markup);

    /// <summary>Something the user should see and that stops nothing.</summary>
    /// <param name="text">One line.</param>
    public void Warn(string text) => Message("warning", "yellow", text);

    /// <summary>Why the work ended.</summary>
    /// <param name="text">The message.</param>
    public void Error(string text) => Message("error", "red", text);

    /// <summary>What is happening, for one who waits.</summary>
    /// <param name="text">One line.</param>
    public void Note(string text) => Message(Spectre.Console.Markup.Escape(text), text);

    private void Message(string kind, string colour, string text) =>
        Message($"[{colour}]{kind}:[/] {Spectre.Console.Markup.Escape(text)}", $"{kind}: {text}");

    private void Message(string markup, string text)
    {
        if (IsLive && !System.Console.IsErrorRedirected)
        {
            // Through the console that redraws lines: written past it, the message would be painted over.
            Console.MarkupLine(markup);
            return;
        }

        _error.WriteLine(text);
    }
}
