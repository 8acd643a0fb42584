using Nibble.Tensors;

namespace Nibble.Cuda;

/// <summary>How a CUDA backend is opened.</summary>
public sealed record CudaOptions
{
    /// <summary>Card number, as the driver counts them.</summary>
    public int Device { get; init; }

    /// <summary>Type of activations: BF16 for training, F32 to compare with other backends.</summary>
    public DType ActivationType { get; init; } = DType.BF16;

    /// <summary>Bytes of device memory that matrix products may use for themselves.</summary>
    public long ProductWorkspaceBytes { get; init; } = 32L << 20;

    /// <summary>
    /// Whether the fastest of several product kernels is found by timing once per shape class. Without it the library's
    /// first proposal is taken. The choice of one process may differ from that of another, and with it the last bits,
    /// unless <see cref="RememberTuning"/> is set.
    /// </summary>
    public bool TuneProducts { get; init; } = true;

    /// <summary>
    /// Whether tuning results are kept in <see cref="CacheFolder"/> per card and library version, so that later runs
    /// take the same kernels, give the same bits and start sooner.
    /// </summary>
    public bool RememberTuning { get; init; } = true;

    /// <summary>Folder of compiled kernels and tuning results; the user's cache folder by default.</summary>
    public string CacheFolder { get; init; } = DefaultCacheFolder();

    /// <summary>Wait after every launch, so that a fault names its kernel. Also set by
    /// <c>NIBBLE_CUDA_SYNC=1</c>.</summary>
    public bool SynchronizeLaunches { get; init; } = Environment.GetEnvironmentVariable("NIBBLE_CUDA_SYNC") == "1";

    private static string DefaultCacheFolder()
    {
        var root = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        if (string.IsNullOrEmpty(root))
        {
            var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            root = OperatingSystem.IsWindows() || home.Length == 0
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : Path.Combine(home, ".cache");
        }

        return Path.Combine(root.Length == 0 ? Path.GetTempPath() : root, "nibble", "cuda");
    }
}
