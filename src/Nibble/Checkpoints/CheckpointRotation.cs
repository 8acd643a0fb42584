namespace Nibble.Checkpoints;

/// <summary>A folder named <c>checkpoint-N</c>.</summary>
/// <param name="Step">N.</param>
/// <param name="Path">Full path.</param>
/// <param name="Modified">When the folder last changed, UTC.</param>
public sealed record CheckpointInfo(int Step, string Path, DateTime Modified)
{
    /// <summary>Name of the folder.</summary>
    public string Name => System.IO.Path.GetFileName(Path);
}

/// <summary>
/// Which checkpoints <c>save_total_limit</c> lets go. Source: huggingface/transformers
/// <c>src/transformers/trainer.py</c>
/// (<c>_sorted_checkpoints</c>, <c>_rotate_checkpoints</c>).
/// </summary>
public static class CheckpointRotation
{
    // Below this spread folder times say nothing (a coarse clock, or a copied folder) and the step number decides.
    private static readonly TimeSpan _distinguishable = TimeSpan.FromSeconds(1);

    /// <summary>Chooses the checkpoints to delete.</summary>
    /// <param name="checkpoints">All of a run, in any order.</param>
    /// <param name="limit">How many stay, at least 1; null for all.</param>
    /// <param name="best">Name of the best checkpoint, which stays beside the newest, or null.</param>
    /// <returns>Oldest first.</returns>
    public static IReadOnlyList<CheckpointInfo> Choose(
        IReadOnlyCollection<CheckpointInfo> checkpoints, int? limit, string? best)
    {
        ArgumentNullException.ThrowIfNull(checkpoints);
        if (limit is not { } keep || checkpoints.Count <= keep)
        {
            return [];
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(keep, 1, nameof(limit));
        var byTime = checkpoints.Max(c => c.Modified) - checkpoints.Min(c => c.Modified) >= _distinguishable;
        var sorted = (byTime
            ? checkpoints.OrderBy(c => c.Modified).ThenBy(c => c.Step)
            : checkpoints.OrderBy(c => c.Step)).ToList();
        var position = best is null ? -1 : sorted.FindIndex(c => c.Name == best);
        if (position >= 0 && position < sorted.Count - 1)
        {
            if (keep == 1)
            {
                keep = 2;
            }

            var protectedOne = sorted[position];
            sorted.RemoveAt(position);
            sorted.Insert(sorted.Count - 1, protectedOne);
        }

        return sorted[..Math.Max(0, sorted.Count - keep)];
    }
}
