using System.Globalization;
using System.Text;
using TorchSharp;

namespace Nibble.Bench;

/// <summary>A training step of the small model, TorchSharp's side.</summary>
internal static class StepSuite
{
    private const int Rows = 4;
    private const int Tokens = 64;

    /// <summary>Runs the suite.</summary>
    /// <param name="args">Folder for the report.</param>
    public static int Run(string[] args)
    {
        var report = new StringBuilder();
        report.Append(CultureInfo.InvariantCulture, $"""
            # A training step with TorchSharp

            Qwen2 shape {DecoderSizes.Small}, LoRA on every linear layer, dense F32 weights, {Rows} rows of {Tokens} tokens, forward,
            backward, clipping, AdamW. Milliseconds of the median step, in brackets of the best.

            - {Machine.Processor}; .NET {Environment.Version}; TorchSharp {typeof(torch).Assembly.GetName().Version}
            - MKL's vector path: {Environment.GetEnvironmentVariable("NIBBLE_BENCH_MKL") ?? "its own choice"}
            - `dotnet run -c Release --project bench/Nibble.Bench -- step`

            | threads | TorchSharp |
            |---|---|

            """);
        foreach (var threads in new[] { 1, 2 }.Where(t => t <= Environment.ProcessorCount))
        {
            torch.set_num_threads(threads);
            using var model = new TorchQwen(DecoderSizes.Small);
            using var ids = torch.randint(DecoderSizes.Small.Vocabulary, [Rows, Tokens], torch.int64);
            var (median, best) = Interleaved.Time(() => model.Step(ids))[0];
            var row = string.Create(CultureInfo.InvariantCulture, $"| {threads} | {median * 1e3:F1} ({best * 1e3:F1}) |");
            Console.WriteLine(row);
            report.AppendLine(row);
        }

        Machine.Write(args.Length > 0 ? args[0] : Machine.Folder, "torchsharp-step.md", report.ToString());
        return 0;
    }
}
