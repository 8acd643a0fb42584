using System.CommandLine;
using Nibble.Checkpoints;
using Nibble.Cli.Shell;
using Nibble.Config;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary>A verb that loads a run's base model, with its adapter or without.</summary>
internal abstract class AdapterVerb : ConfigVerb
{
    private readonly Option<string?> _adapter = new("--adapter")
    {
        Description = "Adapter or checkpoint folder, or the folder of a merged model; output_dir when left out.",
        HelpName = "folder",
    };

    private readonly Option<bool> _base = new("--base")
    {
        Description = "The base model alone.",
        Arity = ArgumentArity.Zero,
    };

    /// <summary>Names the verb and adds the arguments they all have.</summary>
    /// <param name="name">As typed.</param>
    /// <param name="description">For the help.</param>
    protected AdapterVerb(string name, string description)
        : base(name, description)
    {
        Add(_adapter);
        Add(_base);
    }

    /// <summary>The folder to load the adapter from, or null for the base model alone.</summary>
    /// <param name="arguments">Parsed arguments.</param>
    /// <param name="config">The run.</param>
    /// <exception cref="UsageException">There is no adapter there, or the flags contradict each other.</exception>
    protected string? AdapterFolder(ParseResult arguments, RunConfig config)
    {
        var named = arguments.GetValue(_adapter);
        if (arguments.GetValue(_base))
        {
            return named is null ? null : throw new UsageException("--base and --adapter exclude each other.");
        }

        var folder = named ?? config.OutputDir;
        return File.Exists(Path.Combine(folder, AdapterFileNames.Config))
            || ((config.Lora is null || named is not null) && AdapterRuntime.IsModel(folder))
            ? folder
            : throw new UsageException(
                $"{folder}: expected an adapter, found no {AdapterFileNames.Config}. Train first, "
                + "name another folder with --adapter, or take the base model alone with --base.");
    }

    /// <summary>Loads model and adapter.</summary>
    /// <param name="config">The run.</param>
    /// <param name="adapter">Adapter folder, or null.</param>
    /// <param name="maxTokens">Most tokens of a sequence.</param>
    /// <param name="passTokens">Most tokens of an evaluation pass.</param>
    /// <param name="terminal">Told what is loaded.</param>
    protected static AdapterRuntime Open(
        RunConfig config, string? adapter, int maxTokens, int passTokens, Terminal terminal) =>
        AdapterRuntime.Open(
            What(config, adapter, terminal) with { MaxTokens = maxTokens, PassTokens = passTokens });

    /// <summary>What to load of a run, said before it is.</summary>
    /// <param name="config">The run.</param>
    /// <param name="adapter">Adapter folder, or null.</param>
    /// <param name="terminal">Told what is loaded.</param>
    protected static AdapterRuntimeOptions What(RunConfig config, string? adapter, Terminal terminal)
    {
        var name = config.BaseModel.Name;
        terminal.Note($"loading {name}{(adapter is null ? " without an adapter" : $" with {adapter}")}");
        if (adapter is not null && File.Exists(Path.Combine(adapter, RunState.FileName))
            && RunFiles.OtherCommit(config.BaseModel, RunState.Read(adapter)) is { } commit)
        {
            terminal.Warn(
                $"{adapter} was trained on commit {commit} of {name}, and {config.BaseModel.Commit} is loaded: "
                + $"--revision_of_model {commit} loads what it was trained on.");
        }

        return AdapterRuntimeOptions.Of(config, adapter);
    }
}
