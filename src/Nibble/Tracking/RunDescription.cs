using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Nibble.Config;
using Nibble.Tracking.Wandb;

namespace Nibble.Tracking;

/// <summary>Who is running, with which settings.</summary>
public sealed record RunDescription
{
    /// <summary>Project the run belongs to, or null.</summary>
    public required string? Project { get; init; }

    /// <summary>Name for people.</summary>
    public required string Name { get; init; }

    /// <summary>Id that no other run of the project has; allowed by <see cref="WandbSettings.CheckRunId"/>.</summary>
    public required string Id { get; init; }

    /// <summary>
    /// Settings by YAML key, in order. <see cref="TrackerGroup"/> takes out what looks like a secret.
    /// </summary>
    public required JsonObject Config { get; init; }

    /// <summary>When the run started.</summary>
    public required DateTimeOffset StartTime { get; init; }

    /// <summary>Optimizer steps done before this process, or null for a fresh run.</summary>
    public int? ResumedFromStep { get; init; }

    /// <summary>
    /// Describes a run: project, name and id come from the W&amp;B settings where these have them; the name is
    /// otherwise that of the output folder, the id eight random characters.
    /// </summary>
    /// <param name="config">The run.</param>
    /// <param name="time">Clock.</param>
    /// <param name="resumedFromStep">Optimizer steps done before this process, or null for a fresh run.</param>
    /// <exception cref="TrackingException">The W&amp;B run id is not allowed.</exception>
    public static RunDescription From(RunConfig config, TimeProvider time, int? resumedFromStep = null) =>
        From(config, WandbSettings.Resolve(config.Logging.Wandb), time, resumedFromStep);

    /// <summary>Describes a run with the W&amp;B settings given; see the other overload.</summary>
    /// <param name="config">The run.</param>
    /// <param name="wandb">W&amp;B settings.</param>
    /// <param name="time">Clock.</param>
    /// <param name="resumedFromStep">Optimizer steps done before this process, or null for a fresh run.</param>
    public static RunDescription From(
        RunConfig config, WandbSettings wandb, TimeProvider time, int? resumedFromStep = null)
    {
        string folder = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(config.OutputDir)));
        return new RunDescription
        {
            Project = wandb.Project,
            Name = wandb.Name ?? (folder.Length > 0 ? folder : "nibble"),
            Id = wandb.RunId ?? NewId(),
            Config = ConfigSnapshot.Of(config),
            StartTime = time.GetUtcNow(),
            ResumedFromStep = resumedFromStep,
        };
    }

    /// <summary>Eight random characters of a–z and 0–9. Names a folder; the training never sees it.</summary>
    public static string NewId() => RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz0123456789", 8);
}
