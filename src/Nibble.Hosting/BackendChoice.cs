using Nibble.Config;
using Nibble.Cpu;
using Nibble.Cuda;
using Nibble.Planning;
using Nibble.Tensors;

namespace Nibble.Hosting;

/// <summary>No device that the config asks for is here.</summary>
/// <param name="message">Asked for, found, what to do.</param>
/// <param name="inner">Cause, or null.</param>
public sealed class DeviceUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>An opened device.</summary>
public sealed class BackendChoice : IDisposable
{
    private const long Gib = 1L << 30;

    private BackendChoice(IBackend backend, DeviceTraits traits, string reason) =>
        (Backend, Traits, Reason) = (backend, traits, reason);

    /// <summary>The device.</summary>
    public IBackend Backend { get; }

    /// <summary>What the planner knows about it.</summary>
    public DeviceTraits Traits { get; }

    /// <summary>Why this one, in words: never a silent fall-back.</summary>
    public string Reason { get; }

    /// <summary>Whether this is a GPU.</summary>
    public bool IsCuda => Backend is CudaBackend;

    /// <summary>Bytes this process holds on the device, or null where that cannot be asked.</summary>
    public long? ProcessMemoryBytes() => (Backend as CudaBackend)?.ProcessMemoryBytes();

    /// <summary>On a GPU, compiles kernels while something else is done, until the result is disposed; null
    /// elsewhere.</summary>
    public IDisposable? CompileAhead() => (Backend as CudaBackend)?.CompileAhead();

    /// <summary>Opens what the config asks for; <c>auto</c> takes a supported GPU where there is one.</summary>
    /// <param name="options">Device, threads, budget.</param>
    /// <exception cref="DeviceUnavailableException">The device asked for is not here.</exception>
    public static BackendChoice Open(EngineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Device == "cpu")
        {
            return OpenCpu(options, "asked for");
        }

        var available = CudaDevice.Probe();
        if (options.Device == "auto")
        {
            return available.IsAvailable
                ? OpenCuda(options, 0, "auto: a supported GPU is here")
                : OpenCpu(options, $"auto: no usable GPU ({string.Join("; ", available.Missing)})");
        }

        if (!available.IsAvailable)
        {
            throw new DeviceUnavailableException(
                $"nibble.device: {options.Device} was asked for, but it cannot be used: "
                + $"{string.Join("; ", available.Missing)}. `nibble doctor` shows what was found; "
                + "`--nibble.device cpu` runs without a GPU.");
        }

        var ordinal = options.Device.StartsWith("cuda:", StringComparison.Ordinal)
            ? int.Parse(options.Device.AsSpan(5), System.Globalization.CultureInfo.InvariantCulture)
            : 0;
        return OpenCuda(options, ordinal, "asked for");
    }

    /// <summary>Traits of a processor.</summary>
    /// <param name="options">Threads and budget.</param>
    public static DeviceTraits CpuTraits(EngineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var threads = options.Threads ?? Environment.ProcessorCount;
        var available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return new DeviceTraits(
            DType.F32, options.MemoryLimitBytes ?? (available - (available / 10)), 64L << 20,
            DequantizesToScratch: false, MatMulRate: 8e10 * threads, Bandwidth: null, PreferredPassTokens: 2048,
            FusedTokens: 0);
    }

    /// <summary>Traits of a GPU whose card is not here, for planning: an H100 80GB.</summary>
    /// <param name="options">Budget.</param>
    public static DeviceTraits AssumedGpuTraits(EngineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return GpuTraits(9, 132, options.MemoryLimitBytes ?? (78 * Gib), 316L << 20);
    }

    /// <inheritdoc/>
    public void Dispose() => Backend.Dispose();

    private static BackendChoice OpenCpu(EngineOptions options, string reason) =>
        new(new CpuBackend(options.Threads), CpuTraits(options), reason);

    private static BackendChoice OpenCuda(EngineOptions options, int ordinal, string reason)
    {
        CudaBackend backend;
        try
        {
            backend = new CudaBackend(new CudaOptions { Device = ordinal });
        }
        catch (CudaUnavailableException missing)
        {
            throw new DeviceUnavailableException(missing.Message, missing);
        }

        var (free, total) = backend.MemoryInfo();
        var held = backend.ProcessMemoryBytes() ?? (total - free);

        // Kernel modules load as they are first used; measured on an H100 they add less than this.
        var fixedBytes = held + (24L << 20);
        var budget = options.MemoryLimitBytes ?? (free + held - (768L << 20));
        var device = backend.Device;
        return new BackendChoice(
            backend, GpuTraits(device.Major, device.Multiprocessors, budget, fixedBytes), reason);
    }

    // Matrix rate per multiprocessor measured on an H100 (benchmarks/h100); older cards by their published ratio to it.
    private static DeviceTraits GpuTraits(int major, int multiprocessors, long budget, long fixedBytes) => new(
        DType.BF16, budget, fixedBytes, DequantizesToScratch: true,
        MatMulRate: multiprocessors * (major >= 9 ? 5.0e12 : 2.2e12), Bandwidth: major >= 9 ? 2.8e12 : 1.2e12,
        PreferredPassTokens: 8192, FusedTokens: CudaBackend.FusedTokens);
}
