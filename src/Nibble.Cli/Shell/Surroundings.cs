namespace Nibble.Cli.Shell;

/// <summary>What the environment tells the program; the only place here that reads its variables.</summary>
internal static class Surroundings
{
    /// <summary>Variable that adds stack traces to messages.</summary>
    public const string DebugVariable = "NIBBLE_DEBUG";

    /// <summary>Whether errors show their stack.</summary>
    public static bool Debug { get; } = Environment.GetEnvironmentVariable(DebugVariable) is "1" or "true";

    /// <summary>Whether the user asked every program for output without colour (no-color.org).</summary>
    public static bool NoColor { get; } = !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    /// <summary>Whether the terminal is one that understands no control sequences.</summary>
    public static bool DumbTerminal { get; } = Environment.GetEnvironmentVariable("TERM") == "dumb";

    /// <summary>The command as typed, without the program's folder.</summary>
    public static string CommandLine { get; } = string.Join(
        ' ', Environment.GetCommandLineArgs().Skip(1).Prepend("nibble"));
}
