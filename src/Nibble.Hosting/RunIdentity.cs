using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Nibble.Checkpoints;
using Nibble.Data;

namespace Nibble.Hosting;

/// <summary>Hashes that say whether two processes run the same run.</summary>
internal static class RunIdentity
{
    // Keys that may differ between the process that saved and the one that resumes without changing a single weight.
    // Of a revision only the content counts, which the fingerprint of the weights and the hash of the rows tell.
    private static readonly string[] Free =
    [
        "output_dir", "resume_from_checkpoint", "auto_resume_from_checkpoints", "wandb",
        "use_tensorboard", "logging_steps",
        "revision_of_model", "revision",
        "save", "nibble", "device", "threads", "recompute", "gpu_memory_limit", "gradient_checkpointing",
    ];

    /// <summary>Version of the product.</summary>
    public static string Version { get; } =
        typeof(RunIdentity).Assembly.GetName().Version is { } v ? $"{v.Major}.{v.Minor}.{v.Build}" : "0.0.0";

    /// <summary>SHA-256 of the resolved config without comments and without keys that change no weight.</summary>
    public static string ConfigHash(string resolvedYaml)
    {
        var kept = resolvedYaml.Split('\n')
            .Select(line => line.Split(" #")[0].TrimEnd())
            .Where(line => line.Length > 0 && !line.StartsWith('#')
                && !Array.Exists(Free, key => line.TrimStart().StartsWith(key, StringComparison.Ordinal)));
        return Hex(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', kept))));
    }

    /// <summary>SHA-256 of every id and label, in order.</summary>
    public static string DataHash(TokenizedData data)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var set in new[] { data.Train, data.Eval })
        {
            hash.AppendData(BitConverter.GetBytes(set.Length));
            foreach (var sample in set)
            {
                hash.AppendData(BitConverter.GetBytes(sample.InputIds.Length));
                hash.AppendData(MemoryMarshal.AsBytes(sample.InputIds.AsSpan()));
                hash.AppendData(MemoryMarshal.AsBytes(sample.Labels.AsSpan()));
            }
        }

        return Hex(hash.GetHashAndReset());
    }

    /// <summary>The run's identity, before any step.</summary>
    public static RunState Of(PreparedRun run) => new()
    {
        Seed = run.Config.Seed,
        Step = 0,
        Epoch = 0,
        NextStep = 0,
        ConfigHash = ConfigHash(run.Loaded.ResolvedYaml),
        DatasetHash = DataHash(run.Data),
        BaseModelFingerprint = ModelFingerprint.Compute(run.Config.BaseModel.Folder),
        NibbleVersion = Version,
        RandomNumbers = "philox4x32-10",
        Provenance = Provenance(run),
    };

    private static Dictionary<string, string> Provenance(PreparedRun run)
    {
        var facts = new Dictionary<string, string>
        {
            ["device"] = run.Device.Backend.Name,
            ["quantization"] = $"{run.Format.Code?.ToString() ?? "none"}{(run.Format.Nested ? ", double" : "")}",
            ["tokenizer"] = run.Tokenizer.ContentHash,
            ["framework"] = RuntimeInformation.FrameworkDescription,
        };
        var (model, data) = (run.Config.BaseModel, run.Config.Data);
        foreach (var (name, commit) in data.Train.Concat(data.Test).Select(entry => (entry.Path, entry.Commit))
            .Prepend((model.Name, model.Commit)))
        {
            if (commit is not null)
            {
                facts[RunFiles.CommitKey(name)] = commit;
            }
        }

        return facts;
    }

    private static string Hex(byte[] hash) => Convert.ToHexString(hash).ToLower(CultureInfo.InvariantCulture);
}
