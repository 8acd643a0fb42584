using System.Text.Json;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// <c>run_state.json</c>: what a resumed run needs besides weights, optimizer and trainer state, and where the
/// checkpoint
/// comes from. Random numbers are pure functions of seed and position (Philox), so no generator state is kept.
/// </summary>
public sealed record RunState
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "run_state.json";

    /// <summary>Version of the layout.</summary>
    public const int FormatVersion = 1;

    /// <summary>Seed of shuffling, initialisation and dropout.</summary>
    public required int Seed { get; init; }

    /// <summary>Optimizer steps done.</summary>
    public required int Step { get; init; }

    /// <summary>Epochs done, with the fraction of the running one.</summary>
    public required double Epoch { get; init; }

    /// <summary>Index, from 0, of the optimizer step whose batches come next.</summary>
    public required int NextStep { get; init; }

    /// <summary>Sum of the losses of all steps.</summary>
    public double TotalLoss { get; init; }

    /// <summary>Sum of the losses of the steps since the last log entry.</summary>
    public double LossSinceLog { get; init; }

    /// <summary>Steps since the last log entry.</summary>
    public int StepsSinceLog { get; init; }

    /// <summary>Tokens that passed through the model.</summary>
    public long TokensSeen { get; init; }

    /// <summary>Tokens the loss was taken over.</summary>
    public long TokensTrained { get; init; }

    /// <summary>Hash of the resolved config, as the run computes it.</summary>
    public required string ConfigHash { get; init; }

    /// <summary>Hash of the tokenised data, as the run computes it.</summary>
    public required string DatasetHash { get; init; }

    /// <summary><see cref="ModelFingerprint"/> of the base weights.</summary>
    public required string BaseModelFingerprint { get; init; }

    /// <summary>Version of Nibble that wrote the checkpoint.</summary>
    public required string NibbleVersion { get; init; }

    /// <summary>How random numbers are drawn, e.g. <c>philox4x32-10</c>.</summary>
    public required string RandomNumbers { get; init; }

    /// <summary>Further facts about the run by name: device, quantisation, start time. No secrets.</summary>
    public IReadOnlyDictionary<string, string> Provenance { get; init; } = new Dictionary<string, string>();

    /// <summary>What makes this run another than the one that wrote a checkpoint.</summary>
    /// <param name="saved">State of the checkpoint to resume from.</param>
    /// <returns>One sentence per difference; empty when resuming continues the same run.</returns>
    public IReadOnlyList<string> DifferencesFrom(RunState saved)
    {
        ArgumentNullException.ThrowIfNull(saved);
        var differences = new List<string>();
        void Compare(string what, string before, string now)
        {
            if (before != now)
            {
                differences.Add($"{what}: the checkpoint has {before}, this run has {now}");
            }
        }

        Compare("seed", $"{saved.Seed}", $"{Seed}");
        Compare("random numbers", saved.RandomNumbers, RandomNumbers);
        Compare("config hash", saved.ConfigHash, ConfigHash);
        Compare("data hash", saved.DatasetHash, DatasetHash);
        Compare("base model fingerprint", saved.BaseModelFingerprint, BaseModelFingerprint);
        return differences;
    }

    /// <summary>Writes the file.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="StorageException">It could not be written.</exception>
    public void Write(string folder) =>
        AtomicFile.WriteAllText(Path.Combine(folder, FileName), PythonJson.Write(new Dictionary<string, object?>
        {
            ["format_version"] = FormatVersion,
            ["seed"] = Seed,
            ["step"] = Step,
            ["epoch"] = Epoch,
            ["next_step"] = NextStep,
            ["total_loss"] = TotalLoss,
            ["loss_since_log"] = LossSinceLog,
            ["steps_since_log"] = StepsSinceLog,
            ["tokens_seen"] = TokensSeen,
            ["tokens_trained"] = TokensTrained,
            ["config_hash"] = ConfigHash,
            ["dataset_hash"] = DatasetHash,
            ["base_model_fingerprint"] = BaseModelFingerprint,
            ["nibble_version"] = NibbleVersion,
            ["random_numbers"] = RandomNumbers,
            ["provenance"] = Provenance.ToDictionary(p => p.Key, p => (object?)p.Value, StringComparer.Ordinal),
        }) + "\n");

    /// <summary>Reads the file of a checkpoint folder.</summary>
    /// <param name="folder">Checkpoint folder.</param>
    /// <exception cref="CheckpointException">It is absent, malformed or of a newer version.</exception>
    public static RunState Read(string folder)
    {
        var fields = JsonFields.Read(Path.Combine(folder, FileName));
        if (fields.Int("format_version") is not FormatVersion and var version)
        {
            throw new CheckpointException(
                fields.File, $"format_version {FormatVersion}", $"{version} (written by another version of Nibble)");
        }

        var provenance = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in fields.Object("provenance").Element.EnumerateObject())
        {
            provenance[pair.Name] = pair.Value.ValueKind == JsonValueKind.String
                ? pair.Value.GetString()!
                : throw fields.Wrong($"provenance.{pair.Name}", "a string", pair.Value);
        }

        return new RunState
        {
            Seed = fields.Int("seed"),
            Step = fields.Int("step"),
            Epoch = fields.Double("epoch"),
            NextStep = fields.Int("next_step"),

            // A loss that was not a number was written as null.
            TotalLoss = fields.OptionalDouble("total_loss") ?? double.NaN,
            LossSinceLog = fields.OptionalDouble("loss_since_log") ?? double.NaN,
            StepsSinceLog = fields.Int("steps_since_log"),
            TokensSeen = fields.Long("tokens_seen"),
            TokensTrained = fields.Long("tokens_trained"),
            ConfigHash = fields.String("config_hash"),
            DatasetHash = fields.String("dataset_hash"),
            BaseModelFingerprint = fields.String("base_model_fingerprint"),
            NibbleVersion = fields.String("nibble_version"),
            RandomNumbers = fields.String("random_numbers"),
            Provenance = provenance,
        };
    }
}
