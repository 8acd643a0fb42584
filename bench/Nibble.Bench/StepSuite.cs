using System.Globalization;
using System.Text;
using Nibble.Data;
using TorchSharp;

namespace Nibble.Bench;

/// <summary>A training step of a small model, ours beside TorchSharp's.</summary>
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
            # A training step beside TorchSharp

            Qwen2 shape {DecoderSizes.Small}, LoRA on every linear layer, {Rows} rows of {Tokens} tokens, forward,
            backward, clipping, AdamW. Frozen weights: NF4 with double quantization in Nibble, dense F32 in TorchSharp
            (libtorch has no NF4 on a CPU). Turns alternate in one process; milliseconds of the median step, in
            brackets of the best.

            - {Machine.Processor}; .NET {Environment.Version}; TorchSharp {typeof(torch).Assembly.GetName().Version}
            - MKL's vector path: {Environment.GetEnvironmentVariable("NIBBLE_BENCH_MKL") ?? "its own choice"}
            - `dotnet run -c Release --project bench/Nibble.Bench -- step`

            | threads | Nibble | TorchSharp | ratio of medians |
            |---|---|---|---|

            """);
        foreach (var threads in new[] { 1, 2 }.Where(t => t <= Environment.ProcessorCount))
        {
            torch.set_num_threads(threads);
            using var model = new TorchQwen(DecoderSizes.Small);
            using var ids = torch.randint(DecoderSizes.Small.Vocabulary, [Rows, Tokens], torch.int64);
            using var ours = new NibbleQwen(DecoderSizes.Small, threads);
            var batch = new Batch([.. Enumerable.Range(0, Rows).Select(Row)]);
            var times = Interleaved.Time(() => ours.Step(batch), () => model.Step(ids));
            var row = string.Create(
                CultureInfo.InvariantCulture,
                $"| {threads} | {times[0].Median * 1e3:F1} ({times[0].Best * 1e3:F1}) | {times[1].Median * 1e3:F1} "
                + $"({times[1].Best * 1e3:F1}) | {times[1].Median / times[0].Median:F2} |");
            Console.WriteLine(row);
            report.AppendLine(row);
        }

        Machine.Write(
            args.Length > 0 ? args[0] : Machine.Folder,
            Environment.GetEnvironmentVariable("NIBBLE_BENCH_MKL") is { } path ? $"step-mkl-{path}.md" : "step.md",
            report.ToString());
        return 0;
    }

    private static Sample Row(int row)
    {
        var ids = new int[Tokens];
        for (var i = 0; i < Tokens; i++)
        {
            ids[i] = ((row * 7919) + (i * 104729)) % DecoderSizes.Small.Vocabulary;
        }

        return new Sample(ids, [.. ids], $"row {row}");
    }
}
