using System.Text.Json;

namespace Nibble.Quality.Charts;

/// <summary>A point of a curve.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Loss">Nats per trained token.</param>
internal readonly record struct CurvePoint(int Step, double Loss);

/// <summary>The losses of a run, as its <c>metrics.jsonl</c> recorded them.</summary>
/// <param name="Train">Mean training loss of each logging interval.</param>
/// <param name="Eval">Evaluation losses.</param>
internal sealed record LossCurve(IReadOnlyList<CurvePoint> Train, IReadOnlyList<CurvePoint> Eval)
{
    private const string Step = "train/global_step";

    /// <summary>Reads the lines of the newest run in a file: an output folder may hold several,
    /// and a resumed run goes on.</summary>
    /// <param name="lines">Lines of a <c>metrics.jsonl</c>; half a line, left by a killed run, is passed over.</param>
    public static LossCurve Read(IEnumerable<string> lines)
    {
        var train = new SortedDictionary<int, double>();
        var eval = new SortedDictionary<int, double>();
        foreach (var line in lines)
        {
            if (Parse(line) is not { } document)
            {
                continue;
            }

            using (document)
            {
                var row = document.RootElement;
                var kind = row.TryGetProperty("event", out var name) ? name.GetString() : null;
                if (kind == "start" && !row.TryGetProperty("resumed_from_step", out _))
                {
                    train.Clear();
                    eval.Clear();
                }
                else if (kind == "log" && row.TryGetProperty(Step, out var step))
                {
                    Add(train, row, "train/loss", step.GetInt32());
                    Add(eval, row, "eval/loss", step.GetInt32());
                }
            }
        }

        return new LossCurve(Points(train), Points(eval));
    }

    private static CurvePoint[] Points(SortedDictionary<int, double> values) =>
        [.. values.Select(v => new CurvePoint(v.Key, v.Value))];

    private static void Add(SortedDictionary<int, double> to, JsonElement row, string name, int step)
    {
        if (row.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number)
        {
            to[step] = value.GetDouble();
        }
    }

    private static JsonDocument? Parse(string line)
    {
        try
        {
            return line.Length == 0 ? null : JsonDocument.Parse(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
