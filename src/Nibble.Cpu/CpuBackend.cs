using System.Runtime.InteropServices;
using Nibble.Cpu.Gemm;
using Nibble.Cpu.Simd;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

/// <summary>
/// The backend of the processor: F32, vectors of 512, 256 or 128 bits, every core, and the same bits for any number of
/// threads. 4-bit weights are dequantised while the panels of a product are packed. Calls run before they return.
/// </summary>
public sealed unsafe partial class CpuBackend : IBackend
{
    private readonly ThreadTeam _team;
    private readonly RowKernels _rows;
    private readonly ProductEngine _products;
    private readonly InstructionSet _set;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">How many, the calling one included; null for one per logical processor.</param>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than one thread.</exception>
    /// <exception cref="PlatformNotSupportedException">NIBBLE_CPU_ISA asks for what this machine lacks.</exception>
    public CpuBackend(int? threads = null)
        : this(threads, InstructionSets.Choose())
    {
    }

    internal CpuBackend(int? threads, InstructionSet set)
    {
        _set = set;
        _team = new ThreadTeam(threads ?? Environment.ProcessorCount);
        _rows = RowKernels.For(set);
        _products = new ProductEngine(set, _team, _rows);
    }

    /// <inheritdoc/>
    public string Name =>
        $"CPU ({RuntimeInformation.ProcessArchitecture}, {InstructionSets.Name(_set)}, {_team.Size} threads)";

    /// <inheritdoc/>
    public DType ActivationType => DType.F32;

    /// <inheritdoc/>
    public TensorView DequantizationScratch { get; set; }

    /// <inheritdoc/>
    public bool NeedsDequantizationScratch => false;

    /// <inheritdoc/>
    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => CpuMemory.Take(bytes, kind);

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<byte> source, TensorView destination)
    {
        RequireBytes(destination, source.Length);
        fixed (byte* from = source)
        {
            Buffer.MemoryCopy(from, (void*)destination.Address, destination.Bytes, source.Length);
        }
    }

    /// <inheritdoc/>
    public void Download(TensorView source, Span<byte> destination)
    {
        RequireBytes(source, destination.Length);
        fixed (byte* to = destination)
        {
            Buffer.MemoryCopy((void*)source.Address, to, destination.Length, source.Bytes);
        }
    }

    /// <inheritdoc/>
    public void Zero(TensorView destination)
    {
        if (destination.IsContiguous)
        {
            NativeMemory.Clear((void*)destination.Address, (nuint)destination.Bytes);
            return;
        }

        for (var row = 0; row < destination.Rows; row++)
        {
            Zero(destination.RowRange(row, 1));
        }
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _team.Dispose();
        _products.Dispose();
    }

    private static void RequireBytes(TensorView view, int bytes)
    {
        Guard.Contiguous(view);
        if (view.Bytes != bytes)
        {
            throw new ShapeException($"expected {view.Bytes} bytes for {view}, got {bytes}");
        }
    }

    private static float* Floats(TensorView view) => (float*)view.Address;

    // Row ops: enough units to even out, none smaller than what a hand-over costs.
    private int RowUnits(int rows, long elements) =>
        (int)Math.Min(rows, Math.Min(4L * _team.Size, elements / 8192 + 1));
}
