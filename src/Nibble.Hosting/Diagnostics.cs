using System.Runtime.InteropServices;
using Nibble.Cpu;
using Nibble.Cuda;

namespace Nibble.Hosting;

/// <summary>A GPU that was found.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Capability">Compute capability, as "9.0".</param>
/// <param name="Multiprocessors">Streaming multiprocessors.</param>
/// <param name="TotalBytes">Memory in bytes.</param>
/// <param name="IsSupported">Whether the kernels run on it.</param>
public sealed record GpuFound(string Name, string Capability, int Multiprocessors, long TotalBytes, bool IsSupported);

/// <summary>One of the GPU vendor's libraries.</summary>
/// <param name="Name">Its short name.</param>
/// <param name="Path">Where it was found, or null.</param>
/// <param name="Version">Its version, or null.</param>
public sealed record LibraryFound(string Name, string? Path, string? Version);

/// <summary>What this machine has to offer.</summary>
public sealed record Diagnostics
{
    /// <summary>Version of the product.</summary>
    public required string Version { get; init; }

    /// <summary>Operating system.</summary>
    public required string OperatingSystem { get; init; }

    /// <summary>.NET runtime.</summary>
    public required string Runtime { get; init; }

    /// <summary>The processor backend: architecture, instruction set, threads.</summary>
    public required string Processor { get; init; }

    /// <summary>Host memory this process may use, in bytes.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>GPUs the driver shows.</summary>
    public required IReadOnlyList<GpuFound> Gpus { get; init; }

    /// <summary>Libraries and where they were found.</summary>
    public required IReadOnlyList<LibraryFound> Libraries { get; init; }

    /// <summary>What keeps a GPU from being used, each with the way to get it; empty when one can be used.</summary>
    public required IReadOnlyList<string> Missing { get; init; }

    /// <summary>Every path that was tried for a library, in order.</summary>
    public required IReadOnlyList<string> Tried { get; init; }

    /// <summary>Folder of compiled kernels.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Whether <c>device: auto</c> takes a GPU.</summary>
    public bool UsesGpu => Missing.Count == 0;

    /// <summary>Looks around; takes no device memory.</summary>
    public static Diagnostics Collect()
    {
        var cuda = CudaDevice.Probe();
        using var cpu = new CpuBackend();
        return new Diagnostics
        {
            Version = RunIdentity.Version,
            OperatingSystem = $"{RuntimeInformation.OSDescription} ({RuntimeInformation.OSArchitecture})",
            Runtime = RuntimeInformation.FrameworkDescription,
            Processor = cpu.Name,
            MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
            Gpus = [.. cuda.Devices.Select(d => new GpuFound(
                d.Name, $"{d.Major}.{d.Minor}", d.Multiprocessors, d.TotalBytes, d.IsSupported))],
            Libraries = [.. cuda.Libraries.Select(l => new LibraryFound(l.Name, l.Path, l.Version))],
            Missing = cuda.Missing,
            Tried = cuda.Tried,
            CacheFolder = new CudaOptions().CacheFolder,
        };
    }
}
