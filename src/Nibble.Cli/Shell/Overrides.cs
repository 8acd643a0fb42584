using System.CommandLine;
using Nibble.Config;

namespace Nibble.Cli.Shell;

/// <summary>Config keys given as flags.</summary>
internal static class Overrides
{
    /// <summary>Reads what no option of the verb has taken.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="subject">The verb's first argument, which stands before the flags; null when it has none.</param>
    /// <param name="device">Value of <c>--device</c>, or null.</param>
    /// <exception cref="ConfigException">An argument that is no flag.</exception>
    public static IReadOnlyList<ConfigOverride> Read(ParseResult arguments, string? subject, string? device)
    {
        RequireSubjectFirst(arguments, subject);
        var flags = ConfigOverride.ParseArguments(arguments.UnmatchedTokens);
        return device is null ? flags : [.. flags, new ConfigOverride("nibble.device", device)];
    }

    // "--lora_r 16 run.yml" takes --lora_r for the file: nothing tells the parser that it is a key with a value.
    private static void RequireSubjectFirst(ParseResult arguments, string? subject)
    {
        if (subject is not null && subject.StartsWith("--", StringComparison.Ordinal))
        {
            var command = arguments.CommandResult.Command;
            throw new UsageException(
                $"config keys come after the {command.Arguments[0].Name}: "
                + $"nibble {command.Name} <{command.Arguments[0].Name}> {subject} …");
        }
    }
}
