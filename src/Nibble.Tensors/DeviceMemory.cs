namespace Nibble.Tensors;

/// <summary>Where memory lives.</summary>
public enum MemoryKind
{
    /// <summary>The backend's own memory.</summary>
    Device,

    /// <summary>Host memory that the backend's kernels can read in place; the same as
    /// <see cref="Device"/> on a CPU.</summary>
    PinnedHost,
}

/// <summary>One allocation of a backend, zero-filled; disposing returns it.</summary>
public abstract class DeviceMemory : IDisposable
{
    /// <summary>Records an allocation.</summary>
    /// <param name="address">First byte, aligned to 256.</param>
    /// <param name="bytes">Its size.</param>
    /// <param name="kind">Where it lives.</param>
    protected DeviceMemory(nint address, long bytes, MemoryKind kind) =>
        (Address, Bytes, Kind) = (address, bytes, kind);

    /// <summary>First byte, aligned to 256.</summary>
    public nint Address { get; }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>Where it lives.</summary>
    public MemoryKind Kind { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Returns the memory.</summary>
    /// <param name="disposing">False when called by the finalizer.</param>
    protected abstract void Dispose(bool disposing);
}
