using Nibble.Cuda.Runtime;

namespace Nibble.Cuda;

/// <summary>
/// The tensor-core kernels of one head width, with the tile sizes and shared memory that <c>Attention.cu</c> and
/// <c>AttentionBackward.cuh</c> derive from the same width.
/// </summary>
internal sealed class AttentionKernels
{
    internal const int Threads = 128;

    // Rows of the tile that a block of the backward kernels owns.
    internal const int OwnTile = 64;

    private const int WidestHead = 256;
    internal const int ShortTile = 64;
    internal const int LongTile = 128;

    internal AttentionKernels(int width)
    {
        var define = $"HEAD_DIM={width}";
        KeyTile = width > 128 ? 32 : 64;
        WalkTile = width > 128 ? 16 : width > 64 ? 32 : 64;
        KeyParts = width > 128 ? 2 : 1;
        Width = width;
        Forward64 = new Kernel("Attention.cu", "attention_forward_64", define)
        {
            DynamicSharedBytes = ForwardShared(ShortTile),
        };
        Forward128 = width > 128 ? null : new Kernel("Attention.cu", "attention_forward_128", define)
        {
            DynamicSharedBytes = ForwardShared(LongTile),
        };
        BackwardQuery = new Kernel("AttentionBackwardQuery.cu", "attention_backward_query", define)
        {
            DynamicSharedBytes = TilesShared,
        };
        BackwardKey = new Kernel("AttentionBackwardKey.cu", "attention_backward_key", define)
        {
            // Two stages of log-sum-exp and delta in F32 beside the tiles.
            DynamicSharedBytes = TilesShared + (4 * WalkTile * sizeof(float)),
        };
        BackwardSum = new Kernel("AttentionBackwardKey.cu", "attention_backward_sum", define);
    }

    internal int Width { get; }

    /// <summary>Keys of one step of the forward kernels.</summary>
    internal int KeyTile { get; }

    /// <summary>Rows of one step of the backward kernels.</summary>
    internal int WalkTile { get; }

    /// <summary>Blocks that share the columns of one key tile's gradients.</summary>
    internal int KeyParts { get; }

    /// <summary>Forward, 64 queries to a block.</summary>
    internal Kernel Forward64 { get; }

    /// <summary>Forward, 128 queries to a block; null where registers do not suffice.</summary>
    internal Kernel? Forward128 { get; }

    internal Kernel BackwardQuery { get; }

    internal Kernel BackwardKey { get; }

    internal Kernel BackwardSum { get; }

    /// <summary>Most shared memory that any of the kernels takes.</summary>
    internal int SharedBytes =>
        Math.Max(BackwardKey.DynamicSharedBytes, (Forward128 ?? Forward64).DynamicSharedBytes);

    private int TilesShared => ((2 * OwnTile) + (4 * WalkTile)) * Width * sizeof(ushort);

    /// <summary>Whether the kernels exist for a head width.</summary>
    internal static bool Supports(int width) => width is > 0 and <= WidestHead && width % 32 == 0;

    private int ForwardShared(int queries) => (queries + (2 * KeyTile)) * Width * sizeof(ushort);
}
