using System.CommandLine;
using Nibble.Checkpoints;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble merge</c>.</summary>
internal sealed class MergeVerb : ConfigVerb
{
    private readonly Option<string?> _adapter = new("--adapter")
    {
        Description = "Adapter or checkpoint folder; output_dir when left out.",
        HelpName = "folder",
    };

    private readonly Option<string?> _out = new("--out")
    {
        Description = "Folder to write; merged in output_dir when left out.",
        HelpName = "folder",
    };

    private readonly Option<bool> _overwrite = new("--overwrite")
    {
        Description = "Replace a folder that is there.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _ungated = new("--ungated")
    {
        Description = "Merge although the gate (nibble validate) refuses the adapter.",
        Arity = ArgumentArity.Zero,
    };

    public MergeVerb()
        : base("merge", "Put the adapter into the base model's weights: a model folder of its own.")
    {
        foreach (Option option in new Option[] { _adapter, _out, _overwrite, _ungated })
        {
            Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var loaded = LoadWithFiles(arguments, session, rows: false);
        var adapter = arguments.GetValue(_adapter) ?? loaded.Config.OutputDir;
        if (!File.Exists(Path.Combine(adapter, AdapterFileNames.Config)))
        {
            throw new UsageException(
                $"{adapter}: expected an adapter, found no {AdapterFileNames.Config}. Train first, "
                + "or name another folder with --adapter.");
        }

        return session.Interruption.Graceful(stop =>
        {
            var merged = ModelMerge.Run(
                loaded,
                new ModelMergeOptions
                {
                    Adapter = adapter,
                    Output = arguments.GetValue(_out),
                    Overwrite = arguments.GetValue(_overwrite),
                    Ungated = arguments.GetValue(_ungated),
                    Stage = session.Terminal.Note,
                    Warn = session.Terminal.Warn,
                },
                stop);
            new Sheet("Merged")
                .Add("adapter", merged.Adapter)
                .Add("base", loaded.Config.BaseModel.Name)
                .Add("modules", $"{Words.Count(merged.Modules)}, scaled by {merged.Scaling:0.####}")
                .Add("folder", $"{merged.Folder}, {Words.Bytes(merged.Bytes)} of weights, {merged.StorageType}")
                .Show(session.Terminal);
            return ExitCode.Ok;
        });
    }
}
