using System.Runtime.CompilerServices;
using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>A backend that passes everything on to another. What derives from it looks at ops, or replaces some; the
/// other backend stays its owner's.</summary>
/// <param name="inner">The other backend.</param>
public abstract partial class ForwardingBackend(IBackend inner) : IBackend
{
    /// <inheritdoc/>
    public string Name => inner.Name;

    /// <inheritdoc/>
    public DType ActivationType => inner.ActivationType;

    /// <inheritdoc/>
    public TensorView DequantizationScratch
    {
        get => inner.DequantizationScratch;
        set => inner.DequantizationScratch = value;
    }

    /// <inheritdoc/>
    public bool NeedsDequantizationScratch => inner.NeedsDequantizationScratch;

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => inner.Allocate(bytes, kind);

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<byte> source, TensorView destination)
    {
        using var _ = Watch();
        inner.Upload(source, destination);
    }

    /// <inheritdoc/>
    public void Download(TensorView source, Span<byte> destination) => inner.Download(source, destination);

    /// <inheritdoc/>
    public void Zero(TensorView destination)
    {
        using var _ = Watch();
        inner.Zero(destination);
    }

    /// <inheritdoc/>
    public void Synchronize() => inner.Synchronize();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Nothing to give back here.</summary>
    /// <param name="disposing">Whether it is asked for, and not collected.</param>
    protected virtual void Dispose(bool disposing)
    {
    }

    /// <summary>Before an op.</summary>
    /// <returns>What <see cref="After"/> is given.</returns>
    protected virtual long Before() => 0;

    /// <summary>After an op.</summary>
    /// <param name="op">Its name.</param>
    /// <param name="before">What <see cref="Before"/> returned.</param>
    protected virtual void After(string op, long before)
    {
    }

    // Ends with the op's own block, under the op's own name.
    private Watched Watch([CallerMemberName] string op = "") => new(this, op, Before());

    private readonly struct Watched(ForwardingBackend owner, string op, long before) : IDisposable
    {
        public void Dispose() => owner.After(op, before);
    }
}
