using System.Runtime.InteropServices;
using Nibble.Ops;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>
/// A backend whose transfers happen as late as their contract allows: when they, or a later one, are awaited. Until
/// then the destination holds no numbers. What reads a destination too early, or writes a source too early, gives other
/// results than a backend that copies at once.
/// </summary>
internal sealed unsafe class LateTransfers(IBackend inner) : ForwardingBackend(inner)
{
    private readonly Queue<(TensorView From, TensorView To)> _waiting = new();
    private long _ended;

    /// <summary>Transfers started so far.</summary>
    public long Started => _ended + _waiting.Count;

    /// <summary>Transfers that nothing has waited for.</summary>
    public int UnderWay => _waiting.Count;

    public override Transfer Offload(TensorView x, TensorView host) => Start(x, host);

    public override Transfer Fetch(TensorView host, TensorView y) => Start(host, y);

    public override void Await(Transfer transfer)
    {
        while (_ended < transfer.Number)
        {
            var (from, to) = _waiting.Dequeue();
            _ended++;
            Buffer.MemoryCopy((void*)from.Address, (void*)to.Address, to.Bytes, from.Bytes);
        }
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
