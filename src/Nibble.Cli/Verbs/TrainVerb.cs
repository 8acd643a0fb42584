using System.CommandLine;
using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Hosting;
using Nibble.Training;
using Nibble.Validation;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble train</c>.</summary>
internal sealed class TrainVerb : ConfigVerb
{
    private readonly Option<bool> _resume = new("--resume")
    {
        Description =
            "Continue from the newest sound checkpoint of output_dir when there is one (auto_resume_from_checkpoints).",
        Arity = ArgumentArity.Zero,
    };

    public TrainVerb()
        : base("train", "Show the plan, fine-tune, evaluate, write checkpoints and the adapter, and validate it.") =>
            Add(_resume);

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var loaded = LoadWithFiles(
            arguments, session, weights: true, rows: true,
            arguments.GetValue(_resume) ? [new ConfigOverride("auto_resume_from_checkpoints", "true")] : []);
        return session.Interruption.Graceful(
            stop => Train(loaded, session.Terminal, stop),
            () => session.Terminal.Note(
                "stopping: the running step is finished and a full checkpoint written; Ctrl-C again leaves at once"));
    }

    private static int Train(LoadedConfig loaded, Terminal terminal, CancellationToken stop)
    {
        using var run = Preparation.Prepare(loaded, terminal, stop);
        PlanView.Show(terminal, run, run.Device.Backend.Name, run.Device.Reason);
        terminal.Line();
        var view = new TrainingView(terminal, TimeProvider.System);
        var result = view.Show(() => new FineTuner(run, new FineTunerOptions
        {
            Observers = [view],
            Warn = terminal.Warn,
            Stage = view.OnStage,
            CheckpointSaved = view.OnSaved,
        }).Run(stop));
        return Conclude(terminal, result);
    }

    private static int Conclude(Terminal terminal, FineTuningResult result)
    {
        terminal.Line();
        if (result.Outcome == TrainingOutcome.Interrupted)
        {
            terminal.Line($"Interrupted after step {result.Steps}; {result.AdapterFolder} resumes with --resume.");
            return ExitCode.Interrupted;
        }

        var sheet = new Sheet(result.Outcome == TrainingOutcome.StoppedEarly ? "Stopped early" : "Done")
            .Add(
                "steps",
                $"{Words.Count(result.Steps)}, {Words.Count(result.Tokens)} tokens in {Words.Duration(result.Seconds)}")
            .Add("train loss", Words.Loss(result.TrainLoss));
        if (result.EvalLossAfter is { } after)
        {
            sheet.Add("eval loss", result.EvalLossBefore is { } before
                ? $"{Words.Loss(before)} before, {Words.Loss(after)} after"
                : Words.Loss(after));
        }

        var report = result.Validation;
        sheet.AddIf("validation", report is null ? null : report.Passed
            ? $"passed: {Words.Plural(report.Count(CheckStatus.Pass), "check")}, "
                + $"{Words.Plural(report.Count(CheckStatus.Warn), "warning")}"
            : $"FAILED: {report.Count(CheckStatus.Fail)} of {Words.Plural(report.Findings.Count, "check")}");
        sheet.Add(AdapterRuntime.IsModel(result.AdapterFolder) ? "model" : "adapter", result.AdapterFolder)
            .Show(terminal);
        if (report is { Passed: false })
        {
            ValidationView.ShowProblems(terminal, report);
            return ExitCode.Failed;
        }

        return ExitCode.Ok;
    }
}
