using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Nibble.EndToEnd.Tests.Training;

/// <summary>
/// The reference run's schedule on the example's small model: the trainer's whole curve as a golden, and its shape
/// beside that of the reference run, which trained a 7B on ChatML text, every token of it.
/// </summary>
public sealed class ReferenceCurveTests
{
    /// <summary>Evaluation loss of the reference run before the first step and after every 50.</summary>
    private static readonly double[] Reference =
        [4.0502, 1.4786, 0.9451, 0.9239, 0.9083, 0.8975, 0.8899, 0.8843, 0.8838, 0.8817, 0.8815];

    // Rows of this many characters at most, so that 2,000 of them take seconds.
    private const int LongestRow = 160;
    private const int EvaluationRows = 32;

    // Threads change no bit. The order of sums depends on the width of the machine's vectors: F32 rounding, grown over
    // 500 steps of Adam. Between vectors of 128, 256 and 512 bits the losses differed by at most 2e-7; machines not
    // tried, and an 8-bit moment that falls on the other side of a code's border for it, are granted more.
    private const double Rounding = 1e-4;

    private static readonly string _golden = Path.Combine(
        ExampleRun.Root, "tests", "goldens", "reference-curve.expected");
    private static readonly string _document = Path.Combine(ExampleRun.Root, "docs", "numerics.md");

    [Fact]
    public void EvaluationLosses_OverTheReferencesSchedule_FollowTheGoldenAndHaveItsShape()
    {
        var losses = Train();
        if (Environment.GetEnvironmentVariable("NIBBLE_REGENERATE") == "1")
        {
            File.WriteAllLines(_golden, losses.Select(l => l.ToString("R", CultureInfo.InvariantCulture)));
            File.WriteAllText(_document, WithTable(File.ReadAllText(_document), losses));
        }

        double[] golden = [.. File.ReadAllLines(_golden).Select(l => double.Parse(l, CultureInfo.InvariantCulture))];
        Assert.Equal(Reference.Length, golden.Length);
        Assert.Equal(golden.Length, losses.Count);
        for (var i = 0; i < golden.Length; i++)
        {
            Assert.True(
                Math.Abs((losses[i] / golden[i]) - 1) < Rounding,
                $"after step {50 * i}: expected {golden[i]:R}, got {losses[i]:R}; "
                + "NIBBLE_REGENERATE=1 writes what was got");
        }

        Assert.All([Reference, golden], HasTheShape);
        Assert.Contains(Table(golden), File.ReadAllText(_document).ReplaceLineEndings("\n"), StringComparison.Ordinal);
    }

    private static void HasTheShape(double[] curve)
    {
        Assert.True(Share(curve, 2) > 0.5, $"{Share(curve, 2):P0} of the drop by step 100");
        for (var i = 1; i < curve.Length; i++)
        {
            Assert.True(curve[i] <= curve[i - 1], $"rises from {curve[i - 1]} to {curve[i]} before step {50 * i}");
        }

        // The cosine ends at zero: in the last 50 steps hardly anything moves.
        Assert.True(curve[^2] - curve[^1] < 0.01 * (curve[0] - curve[^1]), $"{curve[^2]}, then {curve[^1]}");
    }

    private static List<double> Train()
    {
        using var run = new ExampleRun();
        var (train, eval) = (Path.Combine(run.Folder, "train.jsonl"), Path.Combine(run.Folder, "val.jsonl"));
        WriteRows("train.jsonl", train, int.MaxValue);
        WriteRows("val.jsonl", eval, EvaluationRows);
        foreach (var (key, value) in new[]
        {
            ("datasets.0.path", train), ("datasets.0.type", "completion"), ("datasets.0.field", "text"),
            ("test_datasets.0.path", eval), ("test_datasets.0.type", "completion"), ("test_datasets.0.field", "text"),
            ("adapter", "lora"), ("load_in_4bit", "true"), ("lora_r", "8"), ("lora_alpha", "16"),
            ("lora_dropout", "0.05"), ("lora_target_linear", "false"),
            ("lora_target_modules", "[q_proj, v_proj, k_proj, o_proj]"), ("micro_batch_size", "1"),
            ("gradient_accumulation_steps", "4"), ("eval_batch_size", "1"), ("max_steps", "500"),
            ("optimizer", "adamw_bnb_8bit"), ("lr_scheduler", "cosine"), ("learning_rate", "0.0002"),
            ("warmup_ratio", "null"), ("warmup_steps", "50"), ("weight_decay", "0"), ("eval_steps", "50"),
            ("logging_steps", "10"), ("save_steps", "null"), ("save_strategy", "no"),
        })
        {
            run.Set(key, value);
        }

        var recorder = new LossRecorder();
        run.Run(CancellationToken.None, recorder);
        return recorder.EvaluationLosses;
    }

    // The reference run's rows: ChatML with a system turn, as text.
    private static void WriteRows(string source, string target, int most)
    {
        var text = new StringBuilder();
        var rows = File.ReadLines(Path.Combine(ExampleRun.Root, "examples", "nl2bash", source))
            .Where(l => l.Length <= LongestRow).Take(most);
        foreach (var line in rows)
        {
            using var row = JsonDocument.Parse(line);
            var turns = row.RootElement.GetProperty("messages").EnumerateArray().Select(m =>
                $"<|im_start|>{m.GetProperty("role").GetString()}\n"
                + $"{m.GetProperty("content").GetString()}<|im_end|>\n");
            var chat = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
                + string.Concat(turns).TrimEnd('\n');
            text.Append("{\"text\": ").Append('"').Append(JsonEncodedText.Encode(chat)).Append("\"}\n");
        }

        File.WriteAllText(target, text.ToString());
    }

    private static double Share(double[] curve, int points) => (curve[0] - curve[points]) / (curve[0] - curve[^1]);

    private static string Table(IReadOnlyList<double> losses)
    {
        double[] ours = [.. losses];
        var text = new StringBuilder(
            "| step | reference run (7B) | share of its drop | example's model | share of its drop |\n"
            + "|---|---|---|---|---|\n");
        for (var i = 0; i < ours.Length; i++)
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {50 * i} | {Reference[i]:0.0000} | {100 * Share(Reference, i):0.0} % ");
            text.Append(CultureInfo.InvariantCulture, $"| {ours[i]:0.0000} | {100 * Share(ours, i):0.0} % |\n");
        }

        return text.ToString();
    }

    private static string WithTable(string document, IReadOnlyList<double> losses)
    {
        var start = document.IndexOf("| step | reference run", StringComparison.Ordinal);
        var end = start;
        while (end < document.Length && document[end] == '|')
        {
            end = document.IndexOf('\n', end) + 1;
        }

        return document[..start] + Table(losses) + document[end..];
    }
}
