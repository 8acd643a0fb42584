using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>
/// What every op means, in the fewest lines: scalar, in order, in double. Quantisation follows the binary32 recipe bit
/// by bit instead, because there the rounding is the meaning. It runs whole (small) models, so that gradients written
/// by hand can be checked against differences. One file per op under <c>Ops/</c> holds the mathematics and the cases
/// that prove it.
/// </summary>
public sealed partial class ReferenceBackend : IBackend
{
    private readonly DType _rounding;

    /// <summary>A reference.</summary>
    /// <param name="rounding">BF16 rounds where the contract rounds an intermediate value to the activation type
    /// (dequantised weights, the normalised value of RmsNorm, the residual sum), to compare with a BF16 backend; F64
    /// rounds nothing.</param>
    public ReferenceBackend(DType rounding = DType.F64) => _rounding = rounding;

    /// <inheritdoc/>
    public string Name => "reference (scalar, double)";

    /// <inheritdoc/>
    public DType ActivationType => DType.F64;

    /// <inheritdoc/>
    public TensorView DequantizationScratch { get; set; }

    /// <inheritdoc/>
    public bool NeedsDequantizationScratch => false;

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => new HostMemory(bytes, kind);

    /// <inheritdoc/>
    public unsafe void Upload(ReadOnlySpan<byte> source, TensorView destination)
    {
        Guard.Contiguous(destination);
        RequireBytes(source.Length, destination);
        source.CopyTo(new Span<byte>((void*)destination.Address, source.Length));
    }

    /// <inheritdoc/>
    public unsafe void Download(TensorView source, Span<byte> destination)
    {
        Guard.Contiguous(source);
        RequireBytes(destination.Length, source);
        new ReadOnlySpan<byte>((void*)source.Address, destination.Length).CopyTo(destination);
    }

    /// <inheritdoc/>
    public unsafe void Zero(TensorView destination)
    {
        for (var row = 0; row < destination.Rows; row++)
        {
            var view = destination.RowRange(row, 1);
            NativeMemory.Clear((void*)view.Address, (nuint)view.Bytes);
        }
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static Elements At(TensorView view) => new(view);

    private static void RequireBytes(int bytes, TensorView view)
    {
        if (bytes != view.Bytes)
        {
            throw new ShapeException($"expected {view.Bytes} bytes for {view}, got {bytes}");
        }
    }

    private double Round(double value) =>
        _rounding == DType.BF16 ? Bf16.ToSingle(Bf16.FromSingle((float)value)) : value;

    private sealed unsafe class HostMemory(long bytes, MemoryKind kind) : DeviceMemory(Take(bytes), bytes, kind)
    {
        private bool _returned;

        ~HostMemory() => Dispose(false);

        protected override void Dispose(bool disposing)
        {
            if (!_returned)
            {
                _returned = true;
                NativeMemory.AlignedFree((void*)Address);
            }
        }

        private static nint Take(long bytes)
        {
            var memory = NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), Arena.Alignment);
            NativeMemory.Clear(memory, (nuint)bytes);
            return (nint)memory;
        }
    }
}
