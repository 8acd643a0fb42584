namespace Nibble.Cli.Shell;

/// <summary>What a verb works with besides its arguments.</summary>
/// <param name="Terminal">Output.</param>
/// <param name="Interruption">Ctrl-C.</param>
internal sealed record Session(Terminal Terminal, Interruption Interruption);
