using Nibble.Config;
using Nibble.Tracking.TensorBoard;
using Nibble.Tracking.Wandb;

namespace Nibble.Tracking;

/// <summary>What a tracker is made from.</summary>
/// <param name="Config">The run.</param>
/// <param name="Time">Clock and time zone of every stamp and folder name.</param>
/// <param name="Warn">Receives one-line warnings.</param>
/// <param name="Wandb">
/// W&amp;B settings from config and environment; disabled when <c>wandb_project</c> is absent.
/// </param>
public sealed record TrackerContext(RunConfig Config, TimeProvider Time, Action<string> Warn, WandbSettings Wandb);

/// <summary>One line of the table.</summary>
/// <param name="Name">Name in messages.</param>
/// <param name="Purpose">What it writes, in one sentence.</param>
/// <param name="Create">Makes the tracker, or returns null when the config does not ask for it.</param>
public sealed record TrackerEntry(string Name, string Purpose, Func<TrackerContext, ITracker?> Create);

/// <summary>The table of trackers.</summary>
public static class Trackers
{
    /// <summary>Every tracker that writes files, in the order they are called.</summary>
    public static IReadOnlyList<TrackerEntry> All { get; } =
    [
        new(
            JsonlTracker.TrackerName,
            "metrics.jsonl in output_dir, one JSON object per event; always on",
            context => new JsonlTracker(context.Config.OutputDir, context.Time)),
        new(
            WandbOfflineTracker.TrackerName,
            "a Weights & Biases offline run; on when wandb_project is set and the mode is not disabled",
            context => context.Wandb.Mode == WandbMode.Disabled
                ? null
                : new WandbOfflineTracker(context.Wandb, context.Time, context.Warn)),
        new(
            TensorBoardTracker.TrackerName,
            "TensorBoard event files under output_dir/runs; on with use_tensorboard",
            context => context.Config.Logging.TensorBoard
                ? new TensorBoardTracker(context.Config.OutputDir, context.Time)
                : null),
    ];

    /// <summary>Makes the trackers a run asks for; nothing is written before <see cref="ITracker.Start"/>.</summary>
    /// <param name="config">The run.</param>
    /// <param name="time">Clock and time zone of every stamp and folder name.</param>
    /// <param name="warn">Receives one-line warnings.</param>
    /// <returns>One group that never throws.</returns>
    /// <exception cref="TrackingException">The W&amp;B run id is not allowed.</exception>
    public static TrackerGroup Create(RunConfig config, TimeProvider time, Action<string> warn)
        => Create(new TrackerContext(config, time, warn, WandbSettings.Resolve(config.Logging.Wandb)));

    /// <summary>Makes the trackers of a context; nothing is written before <see cref="ITracker.Start"/>.</summary>
    /// <param name="context">Run, clock and settings.</param>
    /// <returns>One group that never throws.</returns>
    public static TrackerGroup Create(TrackerContext context)
    {
        List<ITracker> trackers = [];
        foreach (TrackerEntry entry in All)
        {
            if (entry.Create(context) is { } tracker)
            {
                trackers.Add(tracker);
            }
        }

        return new TrackerGroup(trackers, context.Warn);
    }
}
