using System.CommandLine;

namespace Nibble.Cli.Shell;

/// <summary>One verb: its arguments, and what it does. A new verb is one file and one line in
/// <see cref="Verbs.VerbTable"/>.</summary>
internal abstract class Verb : Command
{
    /// <summary>Names the verb.</summary>
    /// <param name="name">As typed.</param>
    /// <param name="description">For the help.</param>
    protected Verb(string name, string description)
        : base(name, description)
    {
    }

    /// <summary>An option that asks for one JSON object in place of tables.</summary>
    protected static Option<bool> JsonOption() => new("--json")
    {
        Description = "Print one JSON object.",
        Arity = ArgumentArity.Zero,
    };

    /// <summary>Whether an option stands on the command line, be it with its default value.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="option">Option of this verb.</param>
    protected static bool IsGiven(ParseResult arguments, Option option) =>
        arguments.GetResult(option) is { Implicit: false };

    /// <summary>Does the work.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="session">Terminal and interruption.</param>
    /// <returns>A value of <see cref="ExitCode"/>.</returns>
    public abstract int Run(ParseResult arguments, Session session);
}
