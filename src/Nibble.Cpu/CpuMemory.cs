using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Cpu;

/// <summary>Zero-filled process memory, aligned to <see cref="Arena.Alignment"/>.</summary>
internal sealed unsafe class CpuMemory : DeviceMemory
{
    private CpuMemory(nint address, long bytes, MemoryKind kind)
        : base(address, bytes, kind)
    {
    }

    ~CpuMemory() => Dispose(false);

    /// <summary>Takes memory.</summary>
    /// <param name="bytes">Size, at least 0.</param>
    /// <param name="kind">Recorded; both kinds are the same memory here.</param>
    /// <exception cref="OutOfDeviceMemoryException">The operating system refused.</exception>
    public static CpuMemory Take(long bytes, MemoryKind kind)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        try
        {
            var size = (nuint)Math.Max(bytes, 1);
            var address = NativeMemory.AlignedAlloc(size, Arena.Alignment);
            NativeMemory.Clear(address, size);
            return new CpuMemory((nint)address, bytes, kind);
        }
        catch (OutOfMemoryException)
        {
            var available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
            throw new OutOfDeviceMemoryException(
                $"the operating system refused {bytes} bytes of memory ({available} bytes are usable by this process); "
                + "choose a smaller model, shorter sequences or a lower gpu_memory_limit");
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!_freed)
        {
            _freed = true;
            NativeMemory.AlignedFree((void*)Address);
        }
    }

    private bool _freed;
}
