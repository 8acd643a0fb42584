using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Hosting;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble plan</c>.</summary>
internal sealed class PlanVerb : ConfigVerb
{
    private readonly Option<bool> _assumeGpu = new("--assume-gpu")
    {
        Description = "Plan for an H100 80GB, which need not be here; gpu_memory_limit makes it smaller.",
        Arity = ArgumentArity.Zero,
    };

    private readonly Option<bool> _json = JsonOption();

    public PlanVerb()
        : base("plan", "Show what train would do: model, rows, steps, device, memory item by item, predicted time.")
    {
        Add(_assumeGpu);
        Add(_json);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var loaded = LoadWithFiles(arguments, session, weights: false);
        if (loaded.Config.BaseModel is { MissingWeightBytes: { } missing } model)
        {
            var size = missing == 0 ? "" : $" ({Words.Bytes(missing)})";
            session.Terminal.Note(
                $"the weights of {model.Name} are not here{size}: their types are taken from config.json; "
                + "nibble train downloads them");
        }

        var assumed = arguments.GetValue(_assumeGpu) ? BackendChoice.AssumedGpuTraits(loaded.Config.Engine) : null;
        using var run = session.Interruption.Graceful(
            stop => Preparation.Prepare(loaded, session.Terminal, stop, assumed));
        var device = assumed is null ? run.Device.Backend.Name : "an H100 80GB";
        var reason = assumed is null ? run.Device.Reason : "assumed: no card was opened";
        if (arguments.GetValue(_json))
        {
            PlanView.ShowJson(session.Terminal, run, device, reason);
        }
        else
        {
            PlanView.Show(session.Terminal, run, device, reason);
        }

        return ExitCode.Ok;
    }
}
