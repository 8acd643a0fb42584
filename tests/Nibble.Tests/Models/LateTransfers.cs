using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>
/// A backend whose transfers happen as late as their contract allows: when they, or a later one, are awaited. Until
/// then the destination holds no numbers. What reads a destination too early, or writes a source too early, gives other
/// results than a backend that copies at once.
/// </summary>
internal sealed unsafe partial class LateTransfers(IBackend inner) : IBackend
{
    private readonly Queue<(TensorView From, TensorView To)> _waiting = new();
    private long _ended;

    /// <summary>Transfers started so far.</summary>
    public long Started => _ended + _waiting.Count;

    /// <summary>Transfers that nothing has waited for.</summary>
    public int UnderWay => _waiting.Count;

    public string Name => inner.Name;

    public DType ActivationType => inner.ActivationType;

    public TensorView DequantizationScratch
    {
        get => inner.DequantizationScratch;
        set => inner.DequantizationScratch = value;
    }

    public bool NeedsDequantizationScratch => inner.NeedsDequantizationScratch;

    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => inner.Allocate(bytes, kind);

    public void Upload(ReadOnlySpan<byte> source, TensorView destination) => inner.Upload(source, destination);

    public void Download(TensorView source, Span<byte> destination) => inner.Download(source, destination);

    public void Zero(TensorView destination) => inner.Zero(destination);

    public void Synchronize() => inner.Synchronize();

    public Transfer Offload(TensorView x, TensorView host) => Start(x, host);

    public Transfer Fetch(TensorView host, TensorView y) => Start(host, y);

    public void Await(Transfer transfer)
    {
        while (_ended < transfer.Number)
        {
            var (from, to) = _waiting.Dequeue();
            _ended++;
            Buffer.MemoryCopy((void*)from.Address, (void*)to.Address, to.Bytes, from.Bytes);
        }
    }

    public void Dispose()
    {
    }

    private Transfer Start(TensorView from, TensorView to)
    {
        // All bits set is no number, in every type; but not where a transfer that waits still has to read.
        if (!_waiting.Any(w => w.From.Address == to.Address))
        {
            NativeMemory.Fill((void*)to.Address, (nuint)to.Bytes, 0xFF);
        }

        _waiting.Enqueue((from, to));
        return new Transfer(Started);
    }
}
