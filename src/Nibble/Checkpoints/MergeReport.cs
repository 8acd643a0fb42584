using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>How far a model's predictions are from another's.</summary>
/// <param name="Divergence">Mean over the measured tokens of Σ p log(p / q), in nats, p being the other model's. The
/// other's 256 likeliest tokens count one by one, the rest of the vocabulary as one: no more than the sum over all
/// tokens, and the same for a vocabulary of that size.</param>
/// <param name="SameTop">Share of the measured tokens at which both find the same token likeliest.</param>
public sealed record ModelDistance(double Divergence, double SameTop);

/// <summary>One model over the measured tokens.</summary>
/// <param name="Key">Short name for programs.</param>
/// <param name="Description">Which model, in words.</param>
/// <param name="Loss">Mean cross-entropy per measured token, in nats.</param>
/// <param name="FromTrained">Distance from the model as it was trained; null for that one.</param>
public sealed record MeasuredModel(string Key, string Description, double Loss, ModelDistance? FromTrained);

/// <summary>Whether a figure is what it should be.</summary>
/// <param name="Name">What is judged.</param>
/// <param name="Passed">Conclusion.</param>
/// <param name="Expected">Bound, in words.</param>
/// <param name="Found">Figure, in words.</param>
/// <param name="Reason">Why the bound is what it is.</param>
public sealed record MergeVerdict(string Name, bool Passed, string Expected, string Found, string Reason);

/// <summary>What was measured after merging.</summary>
public sealed record MergeMeasurement
{
    /// <summary>The model as trained.</summary>
    public const string Trained = "trained";

    /// <summary>Base in full precision with the adapter beside it.</summary>
    public const string Unmerged = "unmerged";

    /// <summary>The merged model in its storage type.</summary>
    public const string Merged = "merged";

    /// <summary>Device, for people.</summary>
    public required string Device { get; init; }

    /// <summary>Where the rows are from: <c>eval</c> or <c>train</c>.</summary>
    public required string Rows { get; init; }

    /// <summary>Rows measured, from the first.</summary>
    public required int Samples { get; init; }

    /// <summary>Trained tokens of these rows: what was measured.</summary>
    public required int Tokens { get; init; }

    /// <summary>Models, the one as trained first and the merged one last.</summary>
    public required IReadOnlyList<MeasuredModel> Models { get; init; }

    /// <summary>Distance of the merged model from base and adapter side by side over the same weights: what rounding
    /// the sums cost.</summary>
    public required ModelDistance Rounding { get; init; }

    /// <summary>Conclusions.</summary>
    public required IReadOnlyList<MergeVerdict> Verdicts { get; init; }

    /// <summary>Whether every verdict is one of approval.</summary>
    public bool Passed => Verdicts.All(v => v.Passed);

    /// <summary>The measured loss of a model, or null.</summary>
    /// <param name="key"><see cref="Trained"/>, <see cref="Unmerged"/> or <see cref="Merged"/>.</param>
    public double? Loss(string key) => Models.FirstOrDefault(m => m.Key == key)?.Loss;
}

/// <summary><c>merge_report.json</c>: what a merged model was made of, and how close it is to what was
/// trained.</summary>
public sealed record MergeReport
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "merge_report.json";

    /// <summary>Folder of the adapter.</summary>
    public required string Adapter { get; init; }

    /// <summary>Name of the base model.</summary>
    public required string BaseModel { get; init; }

    /// <summary>Version of Nibble.</summary>
    public required string NibbleVersion { get; init; }

    /// <summary>Modules that were merged.</summary>
    public required int Modules { get; init; }

    /// <summary>The factor on B A.</summary>
    public required double Scaling { get; init; }

    /// <summary>Type of the merged matrices: <c>BF16</c>.</summary>
    public required string StorageType { get; init; }

    /// <summary>Why the gate refused the adapter, when it was merged all the same; empty otherwise.</summary>
    public IReadOnlyList<string> Refusals { get; init; } = [];

    /// <summary>What was measured, or null.</summary>
    public MergeMeasurement? Measurement { get; init; }

    /// <summary>Whether a folder holds a merged model.</summary>
    /// <param name="folder">Model folder.</param>
    public static bool IsIn(string folder) => File.Exists(Path.Combine(folder, FileName));

    /// <summary>Writes the file.</summary>
    /// <param name="folder">Folder of the merged model.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public void Write(string folder) => AtomicFile.WriteAllText(Path.Combine(folder, FileName), ToJson());

    /// <summary>The report as JSON: indent 2, keys sorted, final newline.</summary>
    public string ToJson() => PythonJson.Write(new Dictionary<string, object?>
    {
        ["adapter"] = Adapter,
        ["base_model"] = BaseModel,
        ["gate_refusals"] = Refusals.ToArray<object?>(),
        ["measurement"] = Measurement is { } measured ? Tree(measured) : null,
        ["modules"] = Modules,
        ["nibble_version"] = NibbleVersion,
        ["scaling"] = Scaling,
        ["storage_type"] = StorageType,
    }) + "\n";

    /// <summary>Reads the file of a merged model.</summary>
    /// <param name="folder">Folder of the merged model.</param>
    /// <exception cref="CheckpointException">It is absent or malformed.</exception>
    public static MergeReport Read(string folder)
    {
        var fields = JsonFields.Read(Path.Combine(folder, FileName));
        return new MergeReport
        {
            Adapter = fields.String("adapter"),
            BaseModel = fields.String("base_model"),
            NibbleVersion = fields.String("nibble_version"),
            Modules = fields.Int("modules"),
            Scaling = fields.Double("scaling"),
            StorageType = fields.String("storage_type"),
            Refusals = [.. fields.Array("gate_refusals").EnumerateArray().Select(e => e.ToString())],
            Measurement = fields.Find("measurement") is null ? null : Measured(fields.Object("measurement")),
        };
    }

    private static Dictionary<string, object?> Tree(MergeMeasurement measured) => new()
    {
        ["device"] = measured.Device,
        ["models"] = measured.Models.Select(m => (object?)new Dictionary<string, object?>
        {
            ["description"] = m.Description,
            ["from_trained"] = m.FromTrained is { } distance ? Tree(distance) : null,
            ["loss"] = m.Loss,
            ["model"] = m.Key,
        }).ToArray(),
        ["passed"] = measured.Passed,
        ["rounding"] = Tree(measured.Rounding),
        ["rows"] = measured.Rows,
        ["samples"] = measured.Samples,
        ["tokens"] = measured.Tokens,
        ["verdicts"] = measured.Verdicts.Select(v => (object?)new Dictionary<string, object?>
        {
            ["expected"] = v.Expected,
            ["found"] = v.Found,
            ["name"] = v.Name,
            ["passed"] = v.Passed,
            ["reason"] = v.Reason,
        }).ToArray(),
    };

    private static Dictionary<string, object?> Tree(ModelDistance distance) => new()
    {
        ["kl_divergence"] = distance.Divergence,
        ["same_top_token"] = distance.SameTop,
    };

    private static MergeMeasurement Measured(JsonFields fields)
    {
        JsonFields[] Items(string key) =>
            [.. fields.Array(key).EnumerateArray().Select(e => new JsonFields(fields.File, e))];
        return new MergeMeasurement
        {
            Device = fields.String("device"),
            Rows = fields.String("rows"),
            Samples = fields.Int("samples"),
            Tokens = fields.Int("tokens"),
            Models =
            [
                .. Items("models").Select(m => new MeasuredModel(
                    m.String("model"), m.String("description"), m.OptionalDouble("loss") ?? double.NaN,
                    m.Find("from_trained") is null ? null : Distance(m.Object("from_trained")))),
            ],
            Rounding = Distance(fields.Object("rounding")),
            Verdicts =
            [
                .. Items("verdicts").Select(v => new MergeVerdict(
                    v.String("name"), v.Bool("passed", whenAbsent: false), v.String("expected"), v.String("found"),
                    v.String("reason"))),
            ],
        };
    }

    private static ModelDistance Distance(JsonFields fields) => new(
        fields.OptionalDouble("kl_divergence") ?? double.NaN, fields.OptionalDouble("same_top_token") ?? double.NaN);
}
