using Nibble.Tensors;

namespace Nibble.Cuda;

// No kernels: the card's copy engines move these bytes while its processors compute.
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public Transfer Offload(TensorView x, TensorView host)
    {
        Guard.Transfer(x, host);
        return new Transfer(_context.Copies.Start(x.Address, host.Address, x.Bytes));
    }

    /// <inheritdoc/>
    public Transfer Fetch(TensorView host, TensorView y)
    {
        Guard.Transfer(host, y);
        return new Transfer(_context.Copies.Start(host.Address, y.Address, y.Bytes));
    }

    /// <inheritdoc/>
    public void Await(Transfer transfer)
    {
        if (transfer.Number != 0)
        {
            Guard.Started(transfer, _context.Copies.Started);
            _context.Copies.Await(transfer.Number);
        }
    }
}
