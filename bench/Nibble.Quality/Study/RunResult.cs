using System.Text.Json;
using System.Text.Json.Serialization;
using Nibble.Hosting.Answers;

namespace Nibble.Quality.Study;

/// <summary>An evaluation loss of a run.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Loss">Nats per answer token.</param>
internal readonly record struct EvalPoint(int Step, double Loss);

/// <summary>What a run gave.</summary>
internal sealed record RunResult
{
    /// <summary>The run.</summary>
    public required RunSpec Spec { get; init; }

    /// <summary><see cref="Setting.Fingerprint"/>.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Device, in words.</summary>
    public required string Device { get; init; }

    /// <summary>Whether other runs of the study ran at the same time: then its seconds say nothing.</summary>
    public required bool IsShared { get; init; }

    /// <summary>Evaluation losses, from before the first step to after the last.</summary>
    public required IReadOnlyList<EvalPoint> Evals { get; init; }

    /// <summary>Optimizer steps.</summary>
    public int Steps { get; init; }

    /// <summary>Tokens computed in training.</summary>
    public long Tokens { get; init; }

    /// <summary>Trained parameters.</summary>
    public long Trainable { get; init; }

    /// <summary>Bytes of the plan, item by item.</summary>
    public IReadOnlyDictionary<string, long> Ledger { get; init; } = new Dictionary<string, long>();

    /// <summary>Seconds of training, evaluations included.</summary>
    public double Seconds { get; init; }

    /// <summary>Answers to the validation rows; null in the sweep.</summary>
    public AnswerMetrics? Answers { get; init; }

    /// <summary>Loss after the last step.</summary>
    [JsonIgnore]
    public double FinalLoss => Evals[^1].Loss;

    /// <summary>Lowest loss of all evaluations.</summary>
    [JsonIgnore]
    public double BestLoss => Evals.Min(e => e.Loss);

    /// <summary>Bytes of weights, trained parameters, gradients and optimizer state:
    /// what depends on the method.</summary>
    [JsonIgnore]
    public long StateBytes =>
        Ledger.Where(i => States.Any(s => i.Key.StartsWith(s, StringComparison.Ordinal))).Sum(i => i.Value);

    /// <summary>Bytes of the plan but for the driver's own.</summary>
    [JsonIgnore]
    public long PlanBytes =>
        Ledger.Where(i => !i.Key.StartsWith("device context", StringComparison.Ordinal)).Sum(i => i.Value);

    private static readonly string[] States = ["weights", "adapters", "F32 masters", "gradients", "optimizer state"];
}

/// <summary>Results on disk, one JSON object a line; processes that share a folder write files of their own.</summary>
/// <param name="folder">Folder of the study.</param>
/// <param name="file">Name of this process's file, without ending.</param>
internal sealed class ResultStore(string folder, string file)
{
    private static readonly JsonSerializerOptions Options = new() { Converters = { new JsonStringEnumConverter() } };

    /// <summary>Results of this study, by run; a run's newest counts.</summary>
    /// <param name="fingerprint">Of the study.</param>
    public Dictionary<string, RunResult> Read(string fingerprint)
    {
        var found = new Dictionary<string, RunResult>();
        string[] files = Directory.Exists(folder) ? Directory.GetFiles(folder, "results*.jsonl") : [];
        foreach (var path in files.Order(StringComparer.Ordinal))
        {
            var stored = File.ReadLines(path).Select(Parse).OfType<RunResult>();
            foreach (var result in stored.Where(r => r.Fingerprint == fingerprint))
            {
                // Seconds measured alone are worth more than those of a run beside others.
                if (!found.TryGetValue(result.Spec.Id, out var other) || other.IsShared || !result.IsShared)
                {
                    found[result.Spec.Id] = result;
                }
            }
        }

        return found;
    }

    /// <summary>Adds a result; a killed process loses at most the line it writes.</summary>
    /// <param name="result">Result.</param>
    public void Add(RunResult result) =>
        File.AppendAllText(Path.Combine(folder, file + ".jsonl"), JsonSerializer.Serialize(result, Options) + "\n");

    /// <summary>All results as one document, a result a line.</summary>
    /// <param name="results">Results.</param>
    public static string Document(IEnumerable<RunResult> results) =>
        $"[\n{string.Join(",\n", results.Select(r => JsonSerializer.Serialize(r, Options)))}\n]\n";

    /// <summary>Reads what <see cref="Document"/> wrote.</summary>
    /// <param name="text">Document.</param>
    public static IReadOnlyList<RunResult> Parse(TextReader text) =>
        JsonSerializer.Deserialize<RunResult[]>(text.ReadToEnd(), Options)!;

    private static RunResult? Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<RunResult>(line, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
