using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble trace</c>.</summary>
internal sealed class TraceVerb : ConfigVerb
{
    private readonly Option<string> _out = new("--out")
    {
        Description = "safetensors file to write.",
        HelpName = "file",
        Required = true,
    };

    public TraceVerb()
        : base(
            "trace",
            "Write what the first step computes (rows, logits, loss, gradients), "
            + "to compare with other implementations.") =>
        Add(_out);

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var path = arguments.GetRequiredValue(_out);
        var loaded = LoadWithFiles(arguments, session);
        using var run = session.Interruption.Graceful(stop => Preparation.Prepare(loaded, session.Terminal, stop));
        var loss = StepTrace.Write(run, path);
        session.Terminal.Line($"{path}: first step on {run.Device.Backend.Name}, loss {Words.Loss(loss)}.");
        return ExitCode.Ok;
    }
}
