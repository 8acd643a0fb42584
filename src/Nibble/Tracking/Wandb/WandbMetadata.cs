using System.Runtime.InteropServices;

namespace Nibble.Tracking.Wandb;

/// <summary>
/// The machine and program of a run, as W&amp;B records them. Arguments are left out: they may hold keys.
/// </summary>
/// <param name="OperatingSystem">Description of the operating system.</param>
/// <param name="StartedAt">When the run started.</param>
/// <param name="Program">Name of the program.</param>
/// <param name="Root">Working directory.</param>
/// <param name="Host">Name of the machine.</param>
/// <param name="Executable">Path of the program.</param>
/// <param name="Processors">Logical processors.</param>
/// <param name="WriterId">Id of the process among those that write to one run.</param>
internal sealed record WandbMetadata(
    string OperatingSystem,
    DateTimeOffset StartedAt,
    string Program,
    string Root,
    string Host,
    string Executable,
    int Processors,
    string WriterId)
{
    internal static WandbMetadata Collect(DateTimeOffset startedAt)
    {
        string executable = System.Environment.ProcessPath ?? string.Empty;
        return new WandbMetadata(
            RuntimeInformation.OSDescription,
            startedAt,
            Path.GetFileName(executable),
            Directory.GetCurrentDirectory(),
            System.Environment.MachineName,
            executable,
            System.Environment.ProcessorCount,
            RunDescription.NewId());
    }
}
