using Nibble.Tensors;

namespace Nibble.Cpu;

// Both kinds of memory are the same here, and calls run before they return.
public sealed unsafe partial class CpuBackend
{
    private long _transfers;

    /// <inheritdoc/>
    public Transfer Offload(TensorView x, TensorView host) => Copy(x, host);

    /// <inheritdoc/>
    public Transfer Fetch(TensorView host, TensorView y) => Copy(host, y);

    /// <inheritdoc/>
    public void Await(Transfer transfer) => Guard.Started(transfer, _transfers);

    private Transfer Copy(TensorView from, TensorView to)
    {
        Guard.Transfer(from, to);
        Buffer.MemoryCopy((void*)from.Address, (void*)to.Address, to.Bytes, from.Bytes);
        return new Transfer(++_transfers);
    }
}
