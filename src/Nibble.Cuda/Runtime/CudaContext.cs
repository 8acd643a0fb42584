using System.Runtime.CompilerServices;
using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>One card: its primary context, a stream for ops and one for copies, memory and launches.</summary>
internal sealed unsafe class CudaContext : IDisposable
{
    internal const int MaxArguments = 40;

    [ThreadStatic]
    private static nint t_current;

    private readonly int _device;
    private readonly nint _context;
    private readonly bool _synchronizeLaunches;
    private CopyStream? _copies;
    private bool _disposed;

    internal CudaContext(CudaOptions options)
    {
        var found = CudaDevice.Probe();
        if (!found.IsAvailable)
        {
            throw new CudaUnavailableException(
                $"CUDA cannot be used: {string.Join("; ", found.Missing)}. Tried: {string.Join("; ", found.Tried)}");
        }

        if (options.Device < 0 || options.Device >= found.Devices.Count || !found.Devices[options.Device].IsSupported)
        {
            throw new CudaUnavailableException(
                $"expected a card of compute capability 8.0 or later, got number {options.Device} of: "
                + string.Join(", ", found.Devices.Select(d => $"{d.Ordinal}: {d.Name} ({d.Major}.{d.Minor})")));
        }

        Info = found.Devices[options.Device];
        _synchronizeLaunches = options.SynchronizeLaunches;
        CudaException.Check(Driver.DeviceGet(out _device, options.Device));
        Usage = new MemoryUsage(_device);
        CudaException.Check(Driver.DevicePrimaryCtxGetState(_device, out _, out var active));
        CudaException.Check(Driver.DevicePrimaryCtxRetain(out _context, _device));
        MakeCurrent();
        if (active == 0)
        {
            // The driver sets aside 1 KiB of stack for every thread that the card can hold: 264 MiB of an H100. Only
            // recursion needs that: what a kernel is compiled to take is added when it is first launched. A context
            // that someone else has in use keeps its limit, and where the driver refuses nothing is lost.
            _ = Driver.CtxSetLimit(Driver.LimitStackSize, 0);
        }

        CudaException.Check(Driver.StreamCreate(out var stream, Driver.StreamNonBlocking));
        Stream = stream;
        SharedBytesPerBlock = CudaDevice.Attribute(_device, Driver.AttributeSharedPerBlockOptin);
        Compiler = new KernelCompiler(
            Info is { Major: 9, Minor: 0 } ? "sm_90a" : $"sm_{Info.Major}{Info.Minor}", options.CacheFolder);
    }

    /// <summary>The card.</summary>
    internal CudaDeviceInfo Info { get; }

    /// <summary>The one stream every op runs on.</summary>
    internal nint Stream { get; }

    /// <summary>Copies that run beside the ops; made when first asked for.</summary>
    internal CopyStream Copies
    {
        get
        {
            MakeCurrent();
            return _copies ??= new CopyStream(this);
        }
    }

    /// <summary>Most shared memory of one block, in bytes.</summary>
    internal int SharedBytesPerBlock { get; }

    internal KernelCompiler Compiler { get; }

    internal MemoryUsage Usage { get; }

    /// <summary>Device bytes handed out and not returned.</summary>
    internal long LiveBytes { get; private set; }

    /// <summary>Allocations handed out and not returned.</summary>
    internal int LiveAllocations { get; private set; }

    /// <summary>Binds the context to the calling thread.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void MakeCurrent()
    {
        if (t_current != _context)
        {
            CudaException.Check(Driver.CtxSetCurrent(_context));
            t_current = _context;
        }
    }

    /// <summary>Enqueues a kernel.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="activation">Activation type it is compiled for; <see cref="DType.U8"/> when its text does not
    /// depend on one.</param>
    /// <param name="shape">Grid and block.</param>
    /// <param name="arguments">Its parameters in order.</param>
    internal void Launch(
        Kernel kernel, DType activation, in LaunchShape shape, params ReadOnlySpan<KernelArgument> arguments)
    {
        if (arguments.Length > MaxArguments)
        {
            throw new ArgumentException(
                $"{kernel.Name}: expected at most {MaxArguments} arguments, got {arguments.Length}");
        }

        fixed (KernelArgument* values = arguments)
        {
            var pointers = stackalloc void*[MaxArguments];
            for (var i = 0; i < arguments.Length; i++)
            {
                pointers[i] = values + i;
            }

            Launch(kernel, activation, shape, pointers);
        }
    }

    /// <summary>Enqueues a kernel whose parameters are larger than eight bytes, such as tensor maps.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="activation">As above.</param>
    /// <param name="shape">Grid and block.</param>
    /// <param name="arguments">One pointer per parameter.</param>
    internal void Launch(Kernel kernel, DType activation, in LaunchShape shape, void** arguments)
    {
        MakeCurrent();
        var function = kernel[activation];
        if (function == 0)
        {
            function = Compiler.Resolve(kernel, activation);
            kernel[activation] = function;
        }

        var code = Driver.LaunchKernel(
            function, shape.GridX, shape.GridY, shape.GridZ, shape.Block, 1, 1, shape.Shared, Stream, arguments, null);
        if (code != 0)
        {
            CudaException.Throw(code, $"cuLaunchKernel {kernel.Name}");
        }

        if (_synchronizeLaunches)
        {
            CudaException.Check(Driver.StreamSynchronize(Stream), kernel.Name);
        }
    }

    /// <summary>Takes zero-filled memory.</summary>
    /// <exception cref="OutOfDeviceMemoryException">The device, or the host for pinned memory, refused.</exception>
    internal DeviceMemory Allocate(long bytes, MemoryKind kind)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        MakeCurrent();
        var size = (nuint)Math.Max(bytes, 1);
        nint address;
        var code = kind == MemoryKind.Device
            ? Driver.MemAlloc(out address, size)
            : Driver.MemHostAlloc(out address, size, Driver.HostAllocDeviceMap);
        if (code == Driver.ErrorOutOfMemory)
        {
            throw Refused(bytes, kind);
        }

        CudaException.Check(code, kind == MemoryKind.Device ? "cuMemAlloc" : "cuMemHostAlloc");
        if (kind == MemoryKind.Device)
        {
            CudaException.Check(Driver.MemsetD8Async(address, 0, size, Stream));
        }
        else
        {
            System.Runtime.InteropServices.NativeMemory.Clear((void*)address, size);
        }

        LiveAllocations++;
        LiveBytes += kind == MemoryKind.Device ? bytes : 0;
        return new Block(this, address, bytes, kind);
    }

    /// <summary>Free and total bytes of the card, all processes counted.</summary>
    internal (long Free, long Total) MemoryInfo()
    {
        MakeCurrent();
        CudaException.Check(Driver.MemGetInfo(out var free, out var total));
        return ((long)free, (long)total);
    }

    internal void Synchronize()
    {
        MakeCurrent();
        CudaException.Check(Driver.StreamSynchronize(Stream));
        _copies?.Synchronize();
    }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        MakeCurrent();
        Compiler.Dispose();
        _copies?.Dispose();
        _ = Driver.StreamDestroy(Stream);
        _ = Driver.DevicePrimaryCtxRelease(_device);
        t_current = 0;
    }

    private OutOfDeviceMemoryException Refused(long bytes, MemoryKind kind)
    {
        if (kind == MemoryKind.PinnedHost)
        {
            return new OutOfDeviceMemoryException(
                $"the host refused {Mebibytes(bytes)} of pinned memory: free host memory, raise the limit of locked "
                + "memory (ulimit -l), or raise gpu_memory_limit so that less waits on the host");
        }

        var (free, total) = MemoryInfo();
        return new OutOfDeviceMemoryException(
            $"{Info.Name} refused {Mebibytes(bytes)}: {Mebibytes(free)} of {Mebibytes(total)} are free and this "
            + $"process holds {Mebibytes(LiveBytes)}. Stop other programs on the card (nvidia-smi lists them), set "
            + "gpu_memory_limit below what is free, or shorten sequence_len");
    }

    private static string Mebibytes(long bytes) => $"{bytes / (1024.0 * 1024):F0} MiB";

    private void Free(DeviceMemory block)
    {
        if (_disposed)
        {
            return;
        }

        // Both calls wait for work that may still use the memory.
        Synchronize();
        CudaException.Check(
            block.Kind == MemoryKind.Device ? Driver.MemFree(block.Address) : Driver.MemFreeHost(block.Address),
            "cuMemFree");
        LiveAllocations--;
        LiveBytes -= block.Kind == MemoryKind.Device ? block.Bytes : 0;
    }

    private sealed class Block(CudaContext owner, nint address, long bytes, MemoryKind kind)
        : DeviceMemory(address, bytes, kind)
    {
        private bool _returned;

        protected override void Dispose(bool disposing)
        {
            if (!_returned && disposing)
            {
                _returned = true;
                owner.Free(this);
            }
        }
    }
}
