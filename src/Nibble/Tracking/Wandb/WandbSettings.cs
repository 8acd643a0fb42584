using Nibble.Config;

namespace Nibble.Tracking.Wandb;

/// <summary>How a W&amp;B run is recorded.</summary>
public enum WandbMode
{
    /// <summary>Nothing is written.</summary>
    Disabled,

    /// <summary>A run folder is written; <c>wandb sync</c> uploads it.</summary>
    Offline,

    /// <summary>
    /// Upload while training was asked for; the run is written as with <see cref="Offline"/> and a warning says so.
    /// </summary>
    Online,
}

/// <summary>
/// Settings of a W&amp;B run. The one place that reads WANDB_* environment variables; keys of the config win over
/// them. The API key is not read: nothing that is written needs it.
/// </summary>
/// <param name="Mode">How the run is recorded.</param>
/// <param name="Project">Project name, or null without W&amp;B.</param>
/// <param name="Entity">Team or user, or null for the default of whoever syncs.</param>
/// <param name="Name">Display name, or null.</param>
/// <param name="RunId">Run id, or null for a fresh one.</param>
/// <param name="Group">Group of runs, or null.</param>
/// <param name="JobType">Kind of run, or null.</param>
/// <param name="Notes">Free text, or null.</param>
/// <param name="Tags">Tags.</param>
/// <param name="Directory">Folder in which <c>wandb/</c> is made.</param>
/// <param name="Notices">What was asked for and cannot be done, one line each; reported when the run starts.</param>
public sealed record WandbSettings(
    WandbMode Mode,
    string? Project,
    string? Entity,
    string? Name,
    string? RunId,
    string? Group,
    string? JobType,
    string? Notes,
    IReadOnlyList<string> Tags,
    string Directory,
    IReadOnlyList<string> Notices)
{
    private const string ForbiddenInRunId = ":;,#?/'\\\"<>|*";

    /// <summary>Settings from the config and the process's environment variables.</summary>
    /// <param name="options">The config's <c>wandb_*</c> keys, or null without <c>wandb_project</c>.</param>
    /// <exception cref="TrackingException">The run id is not allowed.</exception>
    public static WandbSettings Resolve(WandbOptions? options) =>
        Resolve(options, Environment.GetEnvironmentVariable);

    /// <summary>Settings from the config and a set of environment variables.</summary>
    /// <param name="options">The config's <c>wandb_*</c> keys, or null without <c>wandb_project</c>.</param>
    /// <param name="environment">Value of an environment variable, or null.</param>
    /// <exception cref="TrackingException">The run id is not allowed.</exception>
    public static WandbSettings Resolve(WandbOptions? options, Func<string, string?> environment)
    {
        string? Variable(string name) => environment(name) is { Length: > 0 } value ? value : null;

        List<string> notices = [];
        WandbMode mode = options is null || IsTrue(Variable("WANDB_DISABLED"))
            ? WandbMode.Disabled
            : ReadMode(options.Mode, Variable("WANDB_MODE"), notices);
        string? runId = options?.RunId ?? environment("WANDB_RUN_ID");
        if (runId is not null && mode != WandbMode.Disabled)
        {
            CheckRunId(runId, options?.RunId is null ? "WANDB_RUN_ID" : "wandb_run_id");
        }

        if (Variable("WANDB_RESUME") is { } resume and not "never")
        {
            notices.Add($"WANDB_RESUME={resume} has no effect on a run that is written offline");
        }

        if (options is { LogModel: not "false" })
        {
            notices.Add($"wandb_log_model: {options.LogModel} has no effect: adapters stay in output_dir");
        }

        return new WandbSettings(
            mode,
            options is null ? null : options.Project,
            options?.Entity ?? Variable("WANDB_ENTITY"),
            options?.Name ?? (options is null ? null : Variable("WANDB_NAME")),
            mode == WandbMode.Disabled ? null : runId,
            Variable("WANDB_RUN_GROUP"),
            Variable("WANDB_JOB_TYPE"),
            Variable("WANDB_NOTES"),
            Variable("WANDB_TAGS")?.Split(
                ',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [],
            Variable("WANDB_DIR") ?? System.IO.Directory.GetCurrentDirectory(),
            notices);
    }

    /// <summary>
    /// Refuses ids that W&amp;B refuses (empty, outer white space, any of <c>: ; , # ? / '</c>) and those that cannot
    /// name a folder on every system (<c>\ " &lt; &gt; | *</c>, control characters).
    /// </summary>
    /// <param name="id">Run id.</param>
    /// <param name="origin">Key or variable it came from, for the message.</param>
    /// <exception cref="TrackingException">The id is not allowed.</exception>
    public static void CheckRunId(string id, string origin)
    {
        if (id.Length == 0 || id.Trim().Length != id.Length)
        {
            throw new TrackingException(
                $"{origin}: expected a run id without white space at its ends, found '{id}'; "
                + "leave it out for a fresh id");
        }

        foreach (char letter in id)
        {
            if (ForbiddenInRunId.Contains(letter, StringComparison.Ordinal) || char.IsControl(letter))
            {
                string shown = char.IsControl(letter) ? $"U+{(int)letter:X4}" : letter.ToString();
                throw new TrackingException(
                    $"{origin}: expected a run id without any of {ForbiddenInRunId} and control characters, "
                    + $"found {shown} in it; use letters, digits, '-' and '_'");
            }
        }
    }

    private static bool IsTrue(string? value) =>
        value is not null && value.ToUpperInvariant() is "1" or "TRUE" or "YES" or "ON" or "Y" or "T";

    private static WandbMode ReadMode(string? configured, string? variable, List<string> notices)
    {
        string? text = configured ?? variable;
        switch (text)
        {
            case "disabled":
                return WandbMode.Disabled;
            case "offline" or "dryrun":
                return WandbMode.Offline;
            case null or "online" or "shared":
                return WandbMode.Online;
            default:
                notices.Add(
                    $"{(configured is null ? "WANDB_MODE" : "wandb_mode")}: expected online, offline or disabled, "
                    + $"found '{text}'; taken as offline");
                return WandbMode.Offline;
        }
    }
}
