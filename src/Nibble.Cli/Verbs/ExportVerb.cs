using System.CommandLine;
using Nibble.Checkpoints;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble export</c>.</summary>
internal sealed class ExportVerb : Verb
{
    private readonly Argument<string> _folder = new("adapter")
    {
        Description = "Adapter or checkpoint folder.",
    };

    private readonly Option<string> _format = new("--format")
    {
        Description = "gguf: the adapter format of llama.cpp.",
        HelpName = "name",
        DefaultValueFactory = _ => "gguf",
    };

    private readonly Option<string> _out = new("--out")
    {
        Description = "File to write.",
        HelpName = "file",
        Required = true,
    };

    private readonly Option<string> _type = new("--type")
    {
        Description = "Type of the matrices: f32, f16 or bf16.",
        HelpName = "name",
        DefaultValueFactory = _ => "f32",
    };

    private readonly Option<string?> _baseModel = new("--base-model")
    {
        Description = "Folder of the base model, when it is not where the run or the adapter says.",
        HelpName = "folder",
    };

    private readonly Option<bool> _overwrite = new("--overwrite")
    {
        Description = "Replace a file that is there.",
        Arity = ArgumentArity.Zero,
    };

    public ExportVerb()
        : base("export", "Write an adapter as the GGUF file that llama.cpp loads beside its base model.")
    {
        Add(_folder);
        foreach (Option option in new Option[] { _format, _out, _type, _baseModel, _overwrite })
        {
            Add(option);
        }

        _format.AcceptOnlyFromAmong("gguf");
        _type.AcceptOnlyFromAmong([.. GgufAdapter.Types]);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var (folder, path) = (arguments.GetRequiredValue(_folder), arguments.GetRequiredValue(_out));
        if (!Directory.Exists(folder))
        {
            throw new UsageException($"{folder}: there is no such folder.");
        }

        if (File.Exists(path) && !arguments.GetValue(_overwrite))
        {
            throw new UsageException($"{path}: expected no such file yet, or leave to replace it (--overwrite).");
        }

        var type = arguments.GetRequiredValue(_type);
        var (modules, baseModel) = AdapterExport.ToGguf(folder, path, arguments.GetValue(_baseModel), type);
        new Sheet("Exported")
            .Add("adapter", folder)
            .Add("base", baseModel)
            .Add("modules", $"{Words.Count(modules)}, as {type}")
            .Add("file", $"{path}, {Words.Bytes(new FileInfo(path).Length)}")
            .Show(session.Terminal);
        return ExitCode.Ok;
    }
}
