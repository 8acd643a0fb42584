using System.CommandLine;
using Nibble.Cli.Verbs;
using Nibble.Config;

namespace Nibble.Cli.Shell;

/// <summary>From arguments to an exit code.</summary>
internal static class CommandLine
{
    private const string Description =
        "Nibble fine-tunes language models in 4-bit (QLoRA). A run is an Axolotl-style YAML file; "
        + "any of its keys can be given as a flag after it: "
        + "nibble train run.yml --learning_rate 1e-4 --datasets.0.path rows.jsonl\n\n"
        + "Exit codes: 0 ok, 1 the work failed or a gate said no, 2 bad usage or config, "
        + "3 no suitable device or memory, 130 interrupted.";

    /// <summary>Runs a command line.</summary>
    /// <param name="args">Arguments of the process.</param>
    public static int Run(string[] args)
    {
        Terminal.UseUtf8();
        var plain = new Option<bool>("--plain")
        {
            Description = "No colours, no redrawing.",
            Recursive = true,
            Arity = ArgumentArity.Zero,
        };
        var root = new RootCommand(Description) { plain };
        foreach (var verb in VerbTable.All())
        {
            verb.SetAction(arguments => RunVerb(verb, arguments, plain));
            root.Add(verb);
        }

        HelpPage.Install(root);

        // Values that start with @ are values: a prompt may.
        var parsed = root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
        {
            return Refuse(args, parsed, root);
        }

        return parsed.Invoke(new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        });
    }

    private static int RunVerb(Verb verb, ParseResult arguments, Option<bool> plain)
    {
        var terminal = Terminal.Open(arguments.GetValue(plain));
        using var interruption = new Interruption();
        try
        {
            return verb.Run(arguments, new Session(terminal, interruption));
        }
        catch (Exception error)
        {
            var failure = Failure.Of(error);
            terminal.Error(failure.Message);
            return failure.Code;
        }
    }

    private static int Refuse(string[] args, ParseResult parsed, RootCommand root)
    {
        var terminal = Terminal.Open(plain: false);
        if (args.Length == 0)
        {
            terminal.Note("nibble <verb> …: " + string.Join(", ", root.Subcommands.Select(v => v.Name))
                + ". nibble --help says what each does.");
            return ExitCode.BadInput;
        }

        if (ReferenceEquals(parsed.CommandResult.Command, root)
            && args.FirstOrDefault(a => !a.StartsWith('-')) is { } typed)
        {
            var verbs = root.Subcommands.Select(v => v.Name).ToList();
            var nearest = NearestName.Find(typed, verbs);
            terminal.Error($"'{typed}' is no verb. Verbs: {string.Join(", ", verbs)}."
                + (nearest is null ? "" : $" Did you mean '{nearest}'?"));
            return ExitCode.BadInput;
        }

        foreach (var error in parsed.Errors)
        {
            terminal.Error(error.Message);
        }

        terminal.Note($"nibble {parsed.CommandResult.Command.Name} --help shows the arguments.");
        return ExitCode.BadInput;
    }
}
