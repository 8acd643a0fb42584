using System.Globalization;
using System.Text.RegularExpressions;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>A checkpoint that must not be resumed from.</summary>
/// <param name="Checkpoint">The folder.</param>
/// <param name="Reason">What is wrong with it.</param>
public sealed record DamagedCheckpoint(CheckpointInfo Checkpoint, string Reason);

/// <summary>Result of looking for a checkpoint to resume from.</summary>
/// <param name="Valid">The newest one that passed every check, or null.</param>
/// <param name="Damaged">Newer ones that did not, newest first.</param>
public sealed record CheckpointSearch(CheckpointInfo? Valid, IReadOnlyList<DamagedCheckpoint> Damaged);

/// <summary>
/// The checkpoints of an output folder. A <c>checkpoint-N</c> is written under a temporary name, every file flushed,
/// the
/// manifest last, and then renamed: it exists complete or not at all.
/// </summary>
public sealed partial class CheckpointStore : IDisposable
{
    /// <summary>Name of the file that holds optimizer state.</summary>
    public const string OptimizerFileName = "optimizer.safetensors";

    private const string LockName = ".nibble.lock";

    private readonly FileStream? _lock;

    private CheckpointStore(string outputDir, FileStream? @lock) =>
        (OutputDir, _lock) = (Path.GetFullPath(outputDir), @lock);

    /// <summary>The output folder, full path.</summary>
    public string OutputDir { get; }

    /// <summary>Opens an output folder to look at its checkpoints; nothing is changed.</summary>
    /// <param name="outputDir">Output folder, which may be absent.</param>
    public static CheckpointStore OpenForReading(string outputDir) => new(outputDir, null);

    /// <summary>
    /// Opens an output folder for a run: creates it, makes sure that no other run writes there, and removes what a
    /// killed
    /// run left unfinished.
    /// </summary>
    /// <param name="outputDir">Output folder.</param>
    /// <exception cref="CheckpointException">Another process writes there.</exception>
    /// <exception cref="StorageException">The folder cannot be written to.</exception>
    public static CheckpointStore OpenForWriting(string outputDir)
    {
        var path = Path.GetFullPath(outputDir);
        FileStream handle;
        try
        {
            Directory.CreateDirectory(path);
            handle = new FileStream(
                Path.Combine(path, LockName),
                FileMode.OpenOrCreate,
                FileAccess.ReadWrite,
                FileShare.None,
                bufferSize: 0,
                FileOptions.DeleteOnClose);
        }
        catch (IOException e) when (File.Exists(Path.Combine(path, LockName))
            && StorageException.Describe(path, e).Failure == StorageFailure.Other)
        {
            throw new CheckpointException(
                path, "an output_dir that no other run uses", $"a running process that holds {LockName}", e);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(path, e);
        }

        var store = new CheckpointStore(path, handle);
        store.Sweep();
        return store;
    }

    /// <summary>All checkpoints by step, oldest first; unfinished ones are not among them.</summary>
    public IReadOnlyList<CheckpointInfo> List()
    {
        var found = new List<CheckpointInfo>();
        if (!Directory.Exists(OutputDir))
        {
            return found;
        }

        foreach (var path in Directory.GetDirectories(OutputDir, "checkpoint-*"))
        {
            var match = CheckpointName().Match(Path.GetFileName(path));
            if (match.Success && int.TryParse(match.Groups[1].Value, CultureInfo.InvariantCulture, out var step))
            {
                found.Add(new CheckpointInfo(step, path, Directory.GetLastWriteTimeUtc(path)));
            }
        }

        found.Sort((a, b) => a.Step.CompareTo(b.Step));
        return found;
    }

    /// <summary>Writes <c>checkpoint-N</c>, N being the run's step; one of the same step is replaced.</summary>
    /// <param name="content">What to write.</param>
    /// <returns>The finished folder.</returns>
    /// <exception cref="CheckpointException">The content contradicts itself, or the disk did not take it. Checkpoints
    /// that
    /// existed before are untouched.</exception>
    public CheckpointInfo Save(CheckpointContent content)
    {
        ArgumentNullException.ThrowIfNull(content);
        RequireLock();
        var target = Path.Combine(
            OutputDir, string.Create(CultureInfo.InvariantCulture, $"checkpoint-{content.Run.Step}"));
        var temporary = AtomicFile.TemporaryName(target);
        try
        {
            Directory.CreateDirectory(temporary);
            var kind = content.Optimizer is null ? CheckpointKind.ModelOnly : CheckpointKind.Full;
            CheckpointFolder.Write(temporary, content, kind);
            AtomicFolder.Replace(temporary, target);
            return new CheckpointInfo(content.Run.Step, target, Directory.GetLastWriteTimeUtc(target));
        }
        catch (Exception e)
        {
            AtomicFolder.TryDelete(temporary);
            if (StorageException.Concerns(e))
            {
                var (name, reason) = (Path.GetFileName(target), StorageException.Describe(target, e).Message);
                var kept = List() is [.., var last] ? $"; {last.Name} is intact" : "";
                throw new CheckpointException(target, $"{name} was not written: {reason}{kept}", e);
            }

            throw;
        }
    }

    /// <summary>
    /// Writes the result of a run into the output folder itself: adapter, tokenizer, states, and the manifest last.
    /// Each
    /// file is replaced in one step; between the first and the last, the manifest does not match.
    /// </summary>
    /// <param name="content">What to write; optimizer state is left out.</param>
    /// <exception cref="CheckpointException">The content contradicts itself, or the disk did not take it.</exception>
    public void SaveFinal(CheckpointContent content)
    {
        ArgumentNullException.ThrowIfNull(content);
        RequireLock();
        try
        {
            CheckpointFolder.Write(OutputDir, content with { Optimizer = null }, CheckpointKind.Final);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw new CheckpointException(
                OutputDir, $"the final adapter was not written: {StorageException.Describe(OutputDir, e).Message}", e);
        }
    }

    /// <summary>Deletes what <c>save_total_limit</c> lets go.</summary>
    /// <param name="limit">How many stay; null for all.</param>
    /// <param name="best">Name or path of the best checkpoint, or null.</param>
    /// <returns>Names of the deleted checkpoints.</returns>
    public IReadOnlyList<string> Rotate(int? limit, string? best)
    {
        RequireLock();
        var name = best is null ? null : Path.GetFileName(Path.TrimEndingDirectorySeparator(best));
        var deleted = new List<string>();
        foreach (var checkpoint in CheckpointRotation.Choose(List(), limit, name))
        {
            try
            {
                Discard(checkpoint.Path);
            }
            catch (Exception e) when (StorageException.Concerns(e))
            {
                throw StorageException.Describe(checkpoint.Path, e);
            }

            deleted.Add(checkpoint.Name);
        }

        return deleted;
    }

    /// <summary>Finds the checkpoint to resume from, verifying the hash of every file.</summary>
    /// <returns>The newest valid one, and the newer ones that are damaged or cannot resume, each with its
    /// reason.</returns>
    public CheckpointSearch FindNewestValid()
    {
        var damaged = new List<DamagedCheckpoint>();
        foreach (var checkpoint in List().Reverse())
        {
            if (CheckpointFolder.WhyNotResumable(checkpoint.Path) is not { } reason)
            {
                return new CheckpointSearch(checkpoint, damaged);
            }

            damaged.Add(new DamagedCheckpoint(checkpoint, reason));
        }

        return new CheckpointSearch(null, damaged);
    }

    /// <summary>Reads a checkpoint, verifying the hash of every file first.</summary>
    /// <param name="folder">A checkpoint folder, or an output folder with the final result.</param>
    /// <exception cref="CheckpointException">A file is absent, altered or contradicts another.</exception>
    /// <exception cref="SafetensorsException">A tensor file is damaged.</exception>
    public static CheckpointContent Load(string folder) => CheckpointFolder.Read(folder);

    /// <summary>Releases the folder for other runs.</summary>
    public void Dispose() => _lock?.Dispose();

    [GeneratedRegex(@"^checkpoint-(\d+)$")]
    private static partial Regex CheckpointName();

    // Deleting a folder takes many steps; under a temporary name half of one can never be mistaken for a checkpoint.
    private static void Discard(string folder)
    {
        var aside = AtomicFile.TemporaryName(folder);
        Directory.Move(folder, aside);
        AtomicFolder.TryDelete(aside);
    }

    private void Sweep()
    {
        AtomicFile.SweepStale(OutputDir);
        foreach (var folder in Directory.GetDirectories(OutputDir, ".checkpoint-*" + AtomicFile.TemporarySuffix))
        {
            AtomicFolder.TryDelete(folder);
        }
    }

    private void RequireLock()
    {
        if (_lock is null)
        {
            throw new InvalidOperationException($"{OutputDir} was opened for reading");
        }
    }
}
