// Fine-tunes from C#: the run of examples/nl2bash/qlora.yml, cut short.
//
//     dotnet run -c Release --project examples/library
//     dotnet run -c Release --project examples/library -- my-run.yml 500
#region readme
using Nibble.Hosting;
using Nibble.Training;

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, key) =>
{
    // The running step ends, a full checkpoint is written, and Run returns.
    key.Cancel = true;
    stop.Cancel();
};

var result = new FineTunerBuilder(args.ElementAtOrDefault(0) ?? "examples/nl2bash/qlora.yml")
    .Set("max_steps", args.ElementAtOrDefault(1) ?? "100")
    .Set("eval_steps", "50")
    .Set("logging_steps", "10")
    .Set("output_dir", "out/library")
    .WarnTo(Console.Error.WriteLine)
    .Observe(new LossPrinter())
    .Run(stop.Token);

Console.WriteLine($"{result.Outcome} after {result.Steps} steps in {result.Seconds:F0} s; "
    + $"eval loss {result.EvalLossBefore:F3} -> {result.EvalLossAfter:F3}; adapter in {result.AdapterFolder}");
return result.Validation is { Passed: true } ? 0 : 1;
#endregion

internal sealed class LossPrinter : ITrainingObserver
{
    public void OnLogged(LoggedStep log) => Console.WriteLine(
        $"step {log.StepsDone}: loss {log.Loss:F3}, learning rate {log.LearningRate:G3}, "
        + $"{log.TokensPerSecond:F0} tokens/s");

    public void OnEvaluated(Evaluation evaluation) => Console.WriteLine(
        $"step {evaluation.StepsDone}: eval loss {evaluation.Loss:F3}, perplexity {evaluation.Perplexity:F1}");
}
