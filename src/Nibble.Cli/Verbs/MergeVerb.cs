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

    private readonly Option<bool> _noMeasure = new("--no-measure")
    {
        Description = "Do not compare the merged model with what was trained.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<int> _tokens = new("--tokens")
    {
        Description = "Answer tokens to compare on, whole rows until there are as many.",
        HelpName = "n",
        DefaultValueFactory = _ => new ModelMergeOptions().MeasuredTokens!.Value,
    };

    private readonly Option<double?> _tolerance = new("--tolerance")
    {
        Description =
            "Most that the merged loss may exceed the trained one by, as a share of it; 0.05 after QLoRA, else 0.005.",
        HelpName = "share",
    };

    private readonly Option<bool> _json = JsonOption();

    public MergeVerb()
        : base(
            "merge",
            "Put the adapter into the base model's weights, and measure how close that is to what was trained; "
            + "exit code 1 when it is not close enough.")
    {
        foreach (Option option in new Option[]
        {
            _adapter, _out, _overwrite, _ungated, _noMeasure, _tokens, _tolerance, _json,
        })
        {
            Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var loaded = LoadWithFiles(arguments, session, rows: !arguments.GetValue(_noMeasure));
        var adapter = arguments.GetValue(_adapter) ?? loaded.Config.OutputDir;
        if (!File.Exists(Path.Combine(adapter, AdapterFileNames.Config)))
        {
            throw new UsageException(
                $"{adapter}: expected an adapter, found no {AdapterFileNames.Config}. Train first, "
                + "or name another folder with --adapter.");
        }

        var (tokens, tolerance) = (arguments.GetValue(_tokens), arguments.GetValue(_tolerance));
        if (tokens < 1 || tolerance is < 0 or double.NaN)
        {
            throw new UsageException(
                $"--tokens and --tolerance: expected 1 or more and 0 or more, found {tokens} and {tolerance}.");
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
                    MeasuredTokens = arguments.GetValue(_noMeasure) ? null : tokens,
                    Tolerance = tolerance,
                    Stage = session.Terminal.Note,
                    Warn = session.Terminal.Warn,
                },
                stop);
            if (arguments.GetValue(_json))
            {
                session.Terminal.Write(merged.Report.ToJson());
            }
            else
            {
                MergeView.Show(session.Terminal, merged);
            }

            return merged.Passed ? ExitCode.Ok : ExitCode.Failed;
        });
    }
}
