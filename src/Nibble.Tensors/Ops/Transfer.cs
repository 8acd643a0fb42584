namespace Nibble.Tensors;

/// <summary>
/// A copy between device and host that may still be under way. Copies of a backend end in the order in which they were
/// started, so that an awaited one vouches for all before it. The default is a copy that has ended.
/// </summary>
/// <param name="Number">Which of its backend's copies, from 1.</param>
public readonly record struct Transfer(long Number);

public partial interface IBackend
{
    /// <summary>
    /// Starts a copy from the device to the host, bit by bit. It sees the work of every op before it and then runs
    /// beside the ops that follow, which must not write <paramref name="x"/> nor touch <paramref name="host"/> before
    /// <see cref="Await"/>. Saves nothing.
    /// </summary>
    /// <param name="x">Gapless, any type, in device memory.</param>
    /// <param name="host">Of the same shape and type, gapless, in <see cref="MemoryKind.PinnedHost"/>.</param>
    /// <returns>What to await.</returns>
    /// <exception cref="ShapeException">Gaps, or another shape or type.</exception>
    Transfer Offload(TensorView x, TensorView host);

    /// <summary>
    /// Starts a copy from the host to the device, bit by bit. It sees the work of every op and of every transfer before
    /// it and then runs beside the ops that follow, which must not touch <paramref name="y"/> nor write
    /// <paramref name="host"/> before <see cref="Await"/>.
    /// </summary>
    /// <param name="host">Gapless, any type, in <see cref="MemoryKind.PinnedHost"/>.</param>
    /// <param name="y">Of the same shape and type, gapless, in device memory.</param>
    /// <returns>What to await.</returns>
    /// <exception cref="ShapeException">Gaps, or another shape or type.</exception>
    Transfer Fetch(TensorView host, TensorView y);

    /// <summary>Makes the ops that follow wait for a transfer, on the device: the caller does not wait. Awaiting twice
    /// does no harm.</summary>
    /// <param name="transfer">From <see cref="Offload"/> or <see cref="Fetch"/> of this backend, or the
    /// default.</param>
    /// <exception cref="ArgumentException">A transfer that was never started.</exception>
    void Await(Transfer transfer);
}
