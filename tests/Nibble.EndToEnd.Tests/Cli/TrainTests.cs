using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Nibble.EndToEnd.Tests.Cli;

/// <summary>A short run through the program, to its end and interrupted.</summary>
public sealed class TrainTests
{
    [Fact]
    public void Train_OfTwoSteps_ShowsPlanAndResultAndPassesTheGate()
    {
        using var folder = new TemporaryFolder();
        var adapter = Path.Combine(folder.Path, "out");

        var result = NibbleProcess.Run(
            Arguments(folder, "--max_steps", "2", "--eval_steps", "2", "--test_datasets.0.path", Rows(folder)));

        Assert.Equal(0, result.ExitCode);
        Assert.Matches(@"trainable params: [\d,]+ \|\| all params: [\d,]+ \|\| trainable%: \d+\.\d{4}", result.Output);
        Assert.Contains("step 0: eval loss", result.Output);
        Assert.Matches(
            @"step 2/2: loss \d+\.\d{4}, lr \S+, grad norm \S+, epoch \S+, [\d,]+ tokens/s, \S+ s left", result.Output);
        Assert.Matches(@"eval loss +\d+\.\d{4} before, \d+\.\d{4} after", result.Output);
        Assert.Matches(@"validation +passed", result.Output);
        Assert.Contains($"adapter     {adapter}", result.Output);

        Assert.Equal(0, NibbleProcess.Run("validate", adapter, "--files-only").ExitCode);

        var weights = Path.Combine(adapter, "adapter_model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..^8]);
        var damaged = NibbleProcess.Run("validate", adapter, "--files-only");
        Assert.Equal(1, damaged.ExitCode);
        Assert.Contains("FAIL", damaged.Output);
    }

    [Fact]
    public async Task Train_Interrupted_WritesACheckpointThatResumesAndExitsWith130()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("a process cannot send another Ctrl-C there");
        }

        using var folder = new TemporaryFolder();
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        string[] arguments = ["exec", NibbleProcess.Assembly, .. Arguments(folder, "--max_steps", "100000")];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string? line;
        do
        {
            line = process.StandardOutput.ReadLine();
        }
        while (line is not null && !line.StartsWith("step 1/", StringComparison.Ordinal));

        Assert.NotNull(line);
        Assert.Equal(0, Kill(process.Id, Interrupt));
        var rest = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(1)));

        Assert.Equal(130, process.ExitCode);
        Assert.Contains("resumes with --resume", rest);
        Assert.Contains("Ctrl-C again leaves at once", await error);
        var checkpoint = Assert.Single(Directory.GetDirectories(Path.Combine(folder.Path, "out"), "checkpoint-*"));
        Assert.True(File.Exists(Path.Combine(checkpoint, "manifest.json")));
    }

    private const int Interrupt = 2;

    [DllImport("libc", EntryPoint = "kill")]
    private static extern int Kill(int process, int signal);

    private static string[] Arguments(TemporaryFolder folder, params string[] more) =>
    [
        "train", Examples.Nl2Bash, "--device", "cpu", "--datasets.0.path", Rows(folder), "--output_dir",
        Path.Combine(folder.Path, "out"), "--logging_steps", "1", "--save_steps", "100000", "--micro_batch_size", "2",
        "--gradient_accumulation_steps", "1", .. more,
    ];

    private static string Rows(TemporaryFolder folder)
    {
        var source = Path.Combine(Path.GetDirectoryName(Examples.Nl2Bash)!, "train.jsonl");
        return folder.Write("rows.jsonl", string.Join('\n', File.ReadLines(source).Take(8)) + "\n");
    }
}
