using Nibble.Cuda.Interop;
using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

/// <summary>
/// The ops on one NVIDIA card of compute capability 8.0 or later. Ops are enqueued on one stream and nothing but
/// <see cref="Download"/>, <see cref="Synchronize"/>, and the first products of a new shape class
/// wait. Kernels follow the type of their views: BF16 or F32 with F32 arithmetic.
/// </summary>
public sealed unsafe partial class CudaBackend : IDisposable
{
    private readonly CudaContext _context;
    private readonly CudaOptions _options;
    private readonly StagingRing _staging;
    private readonly DeviceTables _tables;
    private bool _disposed;

    /// <summary>Opens a card.</summary>
    /// <param name="options">Which card and how; defaults when null.</param>
    /// <exception cref="CudaUnavailableException">No driver, library or suitable card.</exception>
    /// <exception cref="OutOfDeviceMemoryException">Not even the workspace of products fits.</exception>
    public CudaBackend(CudaOptions? options = null)
    {
        _options = options ?? new CudaOptions();
        if (_options.ActivationType is not (DType.BF16 or DType.F32))
        {
            throw new ArgumentException($"expected BF16 or F32 activations, got {_options.ActivationType}", nameof(options));
        }

        _context = new CudaContext(_options);
        _staging = new StagingRing(_context);
        _tables = new DeviceTables(_context, _staging);
    }

    /// <summary>As <see cref="IBackend"/> says.</summary>
    public string Name => $"{_context.Info.Name} (cuda:{_context.Info.Ordinal})";

    /// <summary>The card.</summary>
    public CudaDeviceInfo Device => _context.Info;

    /// <summary>As <see cref="IBackend"/> says.</summary>
    public DType ActivationType => _options.ActivationType;

    /// <summary>As <see cref="IBackend"/> says.</summary>
    public TensorView DequantizationScratch { get; set; }

    /// <summary>As <see cref="IBackend"/> says.</summary>

    /// <summary>Device bytes this backend holds for itself, besides the context.</summary>
    public long OwnBytes => _tables.Bytes;


    /// <summary>Device bytes handed out by <see cref="Allocate"/>, and <see cref="OwnBytes"/>.</summary>
    public long LiveBytes => _context.LiveBytes;

    /// <summary>Kernel modules compiled by this process because the cache on disk had none.</summary>
    public int CompiledModules => _context.Compiler.Compiled;

    /// <summary>Why compiled kernels are not kept on disk, or null when they are.</summary>
    public string? CacheProblem => _context.Compiler.CacheProblem;

    /// <summary>Free and total bytes of the card, all processes counted.</summary>
    public (long Free, long Total) MemoryInfo() => _context.MemoryInfo();

    /// <summary>
    /// Bytes this process holds on the card, context and modules included, as the driver's management library counts them; null
    /// without that library.
    /// </summary>
    public long? ProcessMemoryBytes() => _context.Usage.ProcessBytes();

    /// <summary>Takes zero-filled memory.</summary>
    /// <param name="bytes">Size.</param>
    /// <param name="kind">Where.</param>
    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => _context.Allocate(bytes, kind);

    /// <summary>Copies between host and card.</summary>
    /// <param name="source">From.</param>
    /// <param name="destination">To.</param>
    public void Upload(ReadOnlySpan<byte> source, TensorView destination)
    {
        CheckTransfer(source.Length, destination);
        _staging.Upload(source, destination.Address);
    }

    /// <summary>Copies between host and card.</summary>
    /// <param name="source">From.</param>
    /// <param name="destination">To.</param>
    public void Download(TensorView source, Span<byte> destination)
    {
        CheckTransfer(destination.Length, source);
        _context.MakeCurrent();
        fixed (byte* bytes = destination)
        {
            if (destination.Length > 0)
            {
                CudaException.Check(
                    Driver.MemcpyAsync((nint)bytes, source.Address, (nuint)destination.Length, _context.Stream), "cuMemcpyAsync");
            }

            _context.Synchronize();
        }
    }

    /// <summary>Fills with zero bits.</summary>
    /// <param name="destination">Gapless.</param>
    public void Zero(TensorView destination)
    {
        Guard.Contiguous(destination);
        if (destination.Bytes > 0)
        {
            _context.MakeCurrent();
            CudaException.Check(
                Driver.MemsetD8Async(destination.Address, 0, (nuint)destination.Bytes, _context.Stream), "cuMemsetD8Async");
        }
    }

    /// <summary>As <see cref="IBackend"/> says.</summary>
    public void Synchronize() => _context.Synchronize();

    /// <summary>As <see cref="IBackend"/> says.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _context.Synchronize();
        _tables.Dispose();
        _staging.Dispose();
        _context.Dispose();
    }

    private static void CheckTransfer(long bytes, TensorView view)
    {
        Guard.Contiguous(view);
        if (bytes != view.Bytes)
        {
            throw new ShapeException($"expected {view.Bytes} host bytes for {view}, got {bytes}");
        }
    }
}
