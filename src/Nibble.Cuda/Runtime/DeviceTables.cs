using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>Code tables on the card, and room for partial sums.</summary>
internal sealed class DeviceTables : IDisposable
{
    /// <summary>Most partial sums of one reduction.</summary>
    internal const int Partials = 1024;

    /// <summary>Tickets there are.</summary>
    internal const int MaxTickets = 256;

    private const int Slot = 256 * sizeof(float);

    private readonly DeviceMemory _memory;
    private int _used;

    internal DeviceTables(CudaContext context, StagingRing staging)
    {
        _memory = context.Allocate((11 * Slot) + (Partials * sizeof(double)), MemoryKind.Device);
        Nf4Values = Take(staging, MemoryMarshal.AsBytes(CodeTables.Values(FourBitCode.Nf4)));
        Fp4Values = Take(staging, MemoryMarshal.AsBytes(CodeTables.Values(FourBitCode.Fp4)));
        Nf4Boundaries = Take(staging, MemoryMarshal.AsBytes(CodeTables.Nf4Boundaries));
        Fp4Boundaries = Take(staging, MemoryMarshal.AsBytes(CodeTables.Fp4Boundaries));
        Fp4Indices = Take(staging, CodeTables.Fp4Indices);
        Signed = Take(staging, MemoryMarshal.AsBytes(CodeTables.Signed));
        Unsigned = Take(staging, MemoryMarshal.AsBytes(CodeTables.Unsigned));
        SignedBoundaries = Take(staging, MemoryMarshal.AsBytes(CodeTables.SignedBoundaries));
        UnsignedBoundaries = Take(staging, MemoryMarshal.AsBytes(CodeTables.UnsignedBoundaries));
        Tickets = Take(staging, []);
        PartialSums = Take(staging, []);
    }

    internal nint Nf4Values { get; }

    internal nint Fp4Values { get; }

    internal nint Nf4Boundaries { get; }

    internal nint Fp4Boundaries { get; }

    internal nint Fp4Indices { get; }

    internal nint Signed { get; }

    internal nint Unsigned { get; }

    internal nint SignedBoundaries { get; }

    internal nint UnsignedBoundaries { get; }

    /// <summary>F64, <see cref="Partials"/> of them; also scratch of single values between two launches of one
    /// op.</summary>
    internal nint PartialSums { get; }

    /// <summary>
    /// Counters of blocks that have left their part of a sum, U32, <see cref="MaxTickets"/> of them: 0 between two
    /// launches.
    /// </summary>
    internal nint Tickets { get; }

    internal long Bytes => _memory.Bytes;

    internal nint Values(FourBitCode code) => code == FourBitCode.Nf4 ? Nf4Values : Fp4Values;

    public void Dispose() => _memory.Dispose();

    private nint Take(StagingRing staging, ReadOnlySpan<byte> content)
    {
        var address = _memory.Address + (_used++ * Slot);
        staging.Upload(content, address);
        return address;
    }
}
