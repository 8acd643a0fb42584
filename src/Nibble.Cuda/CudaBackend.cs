using Nibble.Cuda.Interop;
using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

/// <summary>
/// The ops on one NVIDIA card of compute capability 8.0 or later. Ops are enqueued on one stream, transfers beside them
/// on another, and nothing but <see cref="Download"/>, <see cref="Synchronize"/>, <see cref="QuantizeAbsMax"/> and the
/// first products of a new shape class wait. Kernels follow the type of their views: BF16 or F32 with F32 arithmetic.
/// </summary>
public sealed unsafe partial class CudaBackend : IBackend
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
            throw new ArgumentException($"expected BF16 or F32 activations, got {_options.ActivationType}",
                nameof(options));
        }

        _context = new CudaContext(_options);
        _staging = new StagingRing(_context);
        _tables = new DeviceTables(_context, _staging);
        _products = new Products(_context, _options);
    }

    /// <inheritdoc/>
    public string Name => $"{_context.Info.Name} (cuda:{_context.Info.Ordinal})";

    /// <summary>The card.</summary>
    public CudaDeviceInfo Device => _context.Info;

    /// <inheritdoc/>
    public DType ActivationType => _options.ActivationType;

    /// <inheritdoc/>
    public TensorView DequantizationScratch { get; set; }

    /// <inheritdoc/>
    public bool NeedsDequantizationScratch => true;

    /// <summary>Device bytes this backend holds for itself, besides the context: products' workspace, tables, partial
    /// sums.</summary>
    public long OwnBytes => _products.WorkspaceBytes + _tables.Bytes;

    /// <summary>Device bytes handed out by <see cref="Allocate"/>, and <see cref="OwnBytes"/>.</summary>
    public long LiveBytes => _context.LiveBytes;

    /// <summary>Kernel modules compiled by this process because the cache on disk had none.</summary>
    public int CompiledModules => _context.Compiler.Compiled;

    /// <summary>Compiles kernels on other threads before they are needed, as far as the cache on disk has none, until
    /// the result is disposed.</summary>
    public IDisposable CompileAhead() => _context.Compiler.CompileAhead(ActivationType);

    /// <summary>Why compiled kernels are not kept on disk, or null when they are.</summary>
    public string? CacheProblem => _context.Compiler.CacheProblem;

    /// <summary>Free and total bytes of the card, all processes counted.</summary>
    public (long Free, long Total) MemoryInfo() => _context.MemoryInfo();

    /// <summary>
    /// Bytes this process holds on the card, context and modules included, as the driver's management library counts
    /// them; null without that library.
    /// </summary>
    public long? ProcessMemoryBytes() => _context.Usage.ProcessBytes();

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => _context.Allocate(bytes, kind);

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<byte> source, TensorView destination)
    {
        CheckTransfer(source.Length, destination);
        _staging.Upload(source, destination.Address);
    }

    /// <inheritdoc/>
    public void Download(TensorView source, Span<byte> destination)
    {
        CheckTransfer(destination.Length, source);
        _context.MakeCurrent();
        fixed (byte* bytes = destination)
        {
            if (destination.Length > 0)
            {
                CudaException.Check(
                    Driver.MemcpyAsync((nint)bytes, source.Address, (nuint)destination.Length, _context.Stream),
                    "cuMemcpyAsync");
            }

            _context.Synchronize();
        }
    }

    /// <inheritdoc/>
    public void Zero(TensorView destination)
    {
        if (destination.Bytes == 0)
        {
            return;
        }

        _context.MakeCurrent();
        if (destination.IsContiguous)
        {
            CudaException.Check(
                Driver.MemsetD8Async(destination.Address, 0, (nuint)destination.Bytes, _context.Stream),
                "cuMemsetD8Async");
            return;
        }

        var size = destination.DType.Size();
        CudaException.Check(
            Driver.MemsetD2D8Async(
                destination.Address, (nuint)((long)destination.Stride * size), 0,
                (nuint)((long)destination.Cols * size), (nuint)destination.Rows, _context.Stream),
            "cuMemsetD2D8Async");
    }

    /// <inheritdoc/>
    public void Synchronize() => _context.Synchronize();

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _context.Synchronize();
        DisposeParameterTables();
        _products.Dispose();
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
