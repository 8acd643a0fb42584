using Nibble.Tensors;

namespace Nibble.Ops;

public sealed unsafe partial class ReferenceBackend
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

internal static class TransferCases
{
    public static IEnumerable<OpCase> All { get; } =
    [
        .. Moves(0, 64),
        .. Moves(1, 1),
        .. Moves(3, 65),
        .. Moves(40, 896),
        .. Moves(512, 3584),
        new("Await", "20 tensors through 2 places", Ring),
    ];

    private static OpCase[] Moves(int t, int c) =>
    [
        new("Offload", $"T={t} C={c}", s => Offload(s, t, c)),
        new("Fetch", $"T={t} C={c}", s => Fetch(s, t, c)),
    ];

    // The copy out sees the op before it, and once awaited not the op after it.
    private static void Offload(OpScope s, int t, int c)
    {
        var (before, after, x) = (Values(s, t, c, 1), Values(s, t, c, 2), s.Gapless(s.Activation, t, c));
        var host = s.Arena(((long)t * c * s.Activation.Size()) + Arena.Alignment, MemoryKind.PinnedHost)
            .Allocate(s.Activation, t, c);
        s.Backend.Convert(before, x);
        var transfer = s.Backend.Offload(x, host);
        s.Backend.Await(transfer);
        s.Backend.Convert(after, x);
        s.Expect("host", host, new Tolerance(ToleranceClass.Exact));
        s.Expect("x", x, new Tolerance(ToleranceClass.Exact));
    }

    // The copy in sees the copy out before it, the op after it sees the copy in, and what it replaces was read before.
    private static void Fetch(OpScope s, int t, int c)
    {
        var (x, y) = (Values(s, t, c, 1), s.Gapless(s.Activation, t, c));
        var old = s.Output("old", s.Activation, t, c, new Tolerance(ToleranceClass.Exact));
        var z = s.Output("z", s.Activation, t, c, new Tolerance(ToleranceClass.Exact));
        var host = s.Arena(((long)t * c * s.Activation.Size()) + Arena.Alignment, MemoryKind.PinnedHost)
            .Allocate(s.Activation, t, c);
        s.Backend.Convert(x, y, 2);
        s.Backend.Offload(x, host);
        s.Backend.Convert(y, old);
        s.Backend.Await(s.Backend.Fetch(host, y));
        s.Backend.Convert(y, z);
        s.Expect("y", y, new Tolerance(ToleranceClass.Exact));
    }

    // As a pass moves the inputs of its layers: out while the next are made, and back in the opposite order.
    private static void Ring(OpScope s)
    {
        const int Count = 20;
        const int Places = 2;
        const int T = 256;
        const int C = 512;
        var source = Values(s, Count * T, C, 1);
        var result = s.Output("y", s.Activation, Count * T, C, new Tolerance(ToleranceClass.Exact));
        var places = s.Gapless(s.Activation, Places * T, C);
        var host = s.Arena(Count * T * C * (long)s.Activation.Size(), MemoryKind.PinnedHost)
            .Allocate(s.Activation, Count * T, C);
        var underWay = new Transfer[Places];
        for (var i = 0; i < Count; i++)
        {
            var place = places.RowRange(i % Places * T, T);
            s.Backend.Await(underWay[i % Places]);
            s.Backend.Convert(source.RowRange(i * T, T), place);
            underWay[i % Places] = s.Backend.Offload(place, host.RowRange(i * T, T));
        }

        for (var i = Count - 1; i >= 0; i--)
        {
            var place = places.RowRange(i % Places * T, T);
            s.Backend.Await(underWay[i % Places]);
            s.Backend.Convert(place, result.RowRange(i * T, T));
            if (i >= Places)
            {
                underWay[i % Places] = s.Backend.Fetch(host.RowRange((i - Places) * T, T), place);
            }
        }
    }

    private static TensorView Values(OpScope s, int t, int c, int seed) =>
        s.Gapless(s.Activation, t, c, i => (((i * 37L) + (seed * 11)) % 251) - 125);
}
