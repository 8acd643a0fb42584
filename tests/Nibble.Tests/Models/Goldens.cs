using System.Text.Json;
using Nibble.Data;

namespace Nibble.Tests.Models;

/// <summary>Golden data of the real libraries under tests/goldens (made by eng/goldens/make_goldens.py).</summary>
internal static class Goldens
{
    public static string Folder { get; } = Find();

    public static string Path(params ReadOnlySpan<string> parts) => System.IO.Path.Combine([Folder, .. parts]);

    public static Sample[] Rows(string model)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path(model, "golden.json")));
        return [.. json.RootElement.GetProperty("rows").EnumerateArray().Select((row, i) => new Sample(
            Ints(row.GetProperty("input_ids")), Ints(row.GetProperty("labels")), $"{model} row {i}"))];
    }

    public static (double LossSum, int Tokens)[] LossSums(string model)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path(model, "golden.json")));
        return [.. json.RootElement.GetProperty("loss_sum_and_tokens").EnumerateArray()
            .Select(e => (e[0].GetDouble(), e[1].GetInt32()))];
    }

    public static TrainingGolden Training(string name)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path("training.json")));
        var e = json.RootElement.GetProperty(name);
        return new TrainingGolden(
            e.GetProperty("r").GetInt32(),
            e.GetProperty("alpha").GetDouble(),
            [.. e.GetProperty("targets").EnumerateArray().Select(t => t.GetString()!)],
            e.GetProperty("optimizer").GetString()!,
            e.GetProperty("lr").GetDouble(),
            Steps(e));
    }

    /// <summary>Learning rate, loss and gradient norm of every step of the run that trains all weights.</summary>
    public static (double LearningRate, double WeightDecay, (double Loss, double Norm)[] Steps) FullTraining()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path("training.json")));
        var e = json.RootElement.GetProperty("train-full-fp32-adamw");
        return (
            e.GetProperty("lr").GetDouble(),
            e.GetProperty("weight_decay").GetDouble(),
            Steps(e));
    }

    private static (double Loss, double Norm)[] Steps(JsonElement run) =>
        [.. run.GetProperty("loss_and_grad_norm").EnumerateArray().Select(p => (p[0].GetDouble(), p[1].GetDouble()))];

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];

    private static string Find()
    {
        var folder = AppContext.BaseDirectory;
        for (; folder is not null; folder = System.IO.Path.GetDirectoryName(folder))
        {
            var candidate = System.IO.Path.Combine(folder, "tests", "goldens");
            if (Directory.Exists(candidate))
            {
                return candidate;
            }
        }

        throw new DirectoryNotFoundException($"tests/goldens: not found above {AppContext.BaseDirectory}");
    }
}

internal sealed record TrainingGolden(
    int Rank, double Alpha, string[] Targets, string Optimizer, double LearningRate,
    (double Loss, double Norm)[] Steps);
