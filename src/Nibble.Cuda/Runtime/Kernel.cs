using System.Runtime.CompilerServices;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>One <c>__global__</c> function of a <c>.cu</c> file; compiled when first launched, once per activation
/// type.</summary>
/// <param name="file">Name of the file, e.g. <c>RmsNorm.cu</c>.</param>
/// <param name="name">Name of the function.</param>
/// <param name="defines">Macros as <c>NAME=value</c>, for families of kernels made from one text.</param>
internal sealed class Kernel(string file, string name, params string[] defines)
{
    private readonly nint[] _functions = new nint[(int)DType.U8 + 1];

    internal string File { get; } = file;

    internal string Name { get; } = name;

    internal IReadOnlyList<string> Defines { get; } = defines;

    /// <summary>Most dynamic shared memory a launch asks for, when that is above the 48 KiB every kernel may
    /// take.</summary>
    internal int DynamicSharedBytes { get; init; }

    internal nint this[DType activation]
    {
        get => _functions[(int)activation];
        set => _functions[(int)activation] = value;
    }
}

/// <summary>One kernel parameter: up to eight bytes, sign-extended, so that an int may meet a 64-bit
/// parameter.</summary>
internal readonly struct KernelArgument
{
    private readonly ulong _bits;

    private KernelArgument(ulong bits) => _bits = bits;

    public static implicit operator KernelArgument(nint value) => new((ulong)value);

    public static implicit operator KernelArgument(int value) => new((ulong)(long)value);

    public static implicit operator KernelArgument(uint value) => new(value);

    public static implicit operator KernelArgument(long value) => new((ulong)value);

    public static implicit operator KernelArgument(ulong value) => new(value);

    public static implicit operator KernelArgument(bool value) => new(value ? 1u : 0u);

    public static implicit operator KernelArgument(float value) => new(BitConverter.SingleToUInt32Bits(value));

    public static implicit operator KernelArgument(double value) => new(BitConverter.DoubleToUInt64Bits(value));

    public static implicit operator KernelArgument(TensorView value) => new((ulong)value.Address);
}

/// <summary>Grid, threads of a block, and dynamic shared memory of a launch.</summary>
/// <param name="GridX">Blocks along x.</param>
/// <param name="GridY">Blocks along y.</param>
/// <param name="GridZ">Blocks along z.</param>
/// <param name="Block">Threads of a block, in one dimension.</param>
/// <param name="Shared">Dynamic shared memory in bytes.</param>
internal readonly record struct LaunchShape(uint GridX, uint GridY, uint GridZ, uint Block, uint Shared)
{
    internal const int MaxGridX = int.MaxValue;

    /// <summary>A one-dimensional grid.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static LaunchShape Of(long blocks, int threads, int shared = 0)
    {
        if (blocks is <= 0 or > MaxGridX)
        {
            throw new ArgumentOutOfRangeException(nameof(blocks), $"expected 1..{MaxGridX} blocks, got {blocks}");
        }

        return new LaunchShape((uint)blocks, 1, 1, (uint)threads, (uint)shared);
    }
}
