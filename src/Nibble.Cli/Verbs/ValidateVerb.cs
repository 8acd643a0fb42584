using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble validate</c>.</summary>
internal sealed class ValidateVerb : Verb
{
    private readonly Argument<string> _folder = new("folder")
    {
        Description = "Checkpoint, or the output folder of a run. Config keys may follow: --key value.",
    };

    private readonly Option<string?> _config = new("--config")
    {
        Description = "YAML of the run; without it the config.yml that the run left there is taken.",
        HelpName = "file",
    };

    private readonly Option<string?> _baseModel = new("--base-model")
    {
        Description = "Folder or Hub name of the base model, when it is not the one the config names.",
        HelpName = "name",
    };

    private readonly Option<string?> _device =
        new("--device") { Description = "auto, cpu, cuda or cuda:N.", HelpName = "name" };

    private readonly Option<bool> _filesOnly = new("--files-only")
    {
        Description = "Leave out the checks that load the model: the loss and the samples.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<int> _samples = new("--samples")
    {
        Description = "Texts to generate.",
        DefaultValueFactory = _ => 3,
    };

    private readonly Option<string?> _report = new("--report")
    {
        Description = "Folder that receives validation.json, validation.md and validation.xml (JUnit).",
        HelpName = "folder",
    };

    private readonly Option<bool> _json = JsonOption();

    public ValidateVerb()
        : base(
            "validate", "The deployment gate: examine a checkpoint or adapter; exit code 1 when it must not be used.")
    {
        TreatUnmatchedTokensAsErrors = false;
        Add(_folder);
        foreach (Option option in new Option[] { _config, _baseModel, _device, _filesOnly, _samples, _report, _json })
        {
            Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var folder = arguments.GetRequiredValue(_folder);
        if (!Directory.Exists(folder))
        {
            throw new UsageException($"{folder}: there is no such folder.");
        }

        var overrides = Overrides.Read(arguments, folder, arguments.GetValue(_device));
        var options = new CheckpointValidationOptions
        {
            Config = arguments.GetValue(_config) is { } path ? ConfigLoader.Load(path, overrides) : null,
            BaseModel = arguments.GetValue(_baseModel),
            FilesOnly = arguments.GetValue(_filesOnly),
            Samples = arguments.GetValue(_samples),
            Overrides = overrides,
            Files = new RunFilesOptions
            {
                Progress = DownloadView.AsLines(session.Terminal),
                Warn = session.Terminal.Warn,
            },
            Warn = session.Terminal.Warn,
        };
        var report = CheckpointValidation.Run(folder, options);
        if (arguments.GetValue(_report) is { } target)
        {
            report.Write(target);
        }

        if (arguments.GetValue(_json))
        {
            session.Terminal.Write(report.ToJson());
        }
        else
        {
            ValidationView.Show(session.Terminal, report);
        }

        return report.Passed ? ExitCode.Ok : ExitCode.Failed;
    }
}
