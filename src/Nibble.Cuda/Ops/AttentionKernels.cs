using Nibble.Cuda.Runtime;

namespace Nibble.Cuda;

/// <summary>
/// The tensor-core kernels of one head width, with the tile sizes and shared memory that <c>Attention.cu</c> and
/// <c>AttentionBackward.cuh</c> derive from the same width.
/// </summary>
internal sealed class AttentionKernels
{
    internal const int Threads = 128;

    // Rows of the tile that a block owns; the key kernel always owns the short one.
    internal const int ShortTile = 64;
    internal const int LongTile = 128;

    private const int WidestHead = 256;

    // The head width that warpgroup kernels are made for.
    private const int GroupHead = 128;

    // Wider heads take so many registers that tiles shrink, and that a block cannot own the long tile.
    private const int WidestLongHead = 128;

    private readonly int _width;
    private readonly int _keyTile;
    private readonly int _walkTile;

    /// <summary>The kernels of a head width.</summary>
    /// <param name="width">D.</param>
    /// <param name="warpgroups">Whether the card has warpgroup products (sm_90a).</param>
    internal AttentionKernels(int width, bool warpgroups)
    {
        var define = $"HEAD_DIM={width}";
        var wide = width > WidestLongHead;
        _width = width;
        _keyTile = wide ? 32 : 64;
        _walkTile = wide ? 16 : width > 64 ? 32 : 64;
        KeyParts = wide ? 2 : 1;
        var group = warpgroups && width == GroupHead;
        HasLongTile = !wide && !group;
        ForwardShort = group
            ? new Kernel("Attention90.cu", "attention_forward_group")
            {
                // Q; two stages of K; V.
                DynamicSharedBytes = 4 * ShortTile * GroupHead * sizeof(ushort),
            }
            : new Kernel("Attention.cu", "attention_forward_64", define)
            {
                DynamicSharedBytes = ForwardShared(ShortTile),
            };
        ForwardLong = !HasLongTile ? ForwardShort : new Kernel("Attention.cu", "attention_forward_128", define)
        {
            DynamicSharedBytes = ForwardShared(LongTile),
        };
        QueryShort = group
            ? new Kernel("AttentionBackwardQuery90.cu", "attention_backward_query_group")
            {
                // Q and dO; two stages of K and V.
                DynamicSharedBytes = 6 * ShortTile * GroupHead * sizeof(ushort),
            }
            : new Kernel("AttentionBackwardQuery.cu", "attention_backward_query_64", define)
            {
                DynamicSharedBytes = BackwardShared(ShortTile),
            };
        QueryLong = !HasLongTile
            ? QueryShort
            : new Kernel("AttentionBackwardQuery.cu", "attention_backward_query_128", define)
            {
                DynamicSharedBytes = BackwardShared(LongTile),
            };
        // Two stages of log-sum-exp and delta in F32 lie beside the tiles.
        Key = group
            ? new Kernel("AttentionBackwardKey90.cu", "attention_backward_key_128")
            {
                DynamicSharedBytes = (6 * ShortTile * GroupHead * sizeof(ushort)) + (4 * ShortTile * sizeof(float)),
            }
            : new Kernel("AttentionBackwardKey.cu", "attention_backward_key", define)
            {
                DynamicSharedBytes = BackwardShared(ShortTile) + (4 * _walkTile * sizeof(float)),
            };
        KeySum = new Kernel("AttentionBackwardKey.cu", "attention_backward_sum", define);
    }

    /// <summary>Whether the long kernels differ from the short ones.</summary>
    internal bool HasLongTile { get; }

    /// <summary>Blocks of the key kernel that share the columns of one tile.</summary>
    internal int KeyParts { get; }

    internal Kernel ForwardShort { get; }

    internal Kernel ForwardLong { get; }

    internal Kernel QueryShort { get; }

    internal Kernel QueryLong { get; }

    internal Kernel Key { get; }

    internal Kernel KeySum { get; }

    /// <summary>Most shared memory that any of the kernels takes.</summary>
    internal int SharedBytes => Math.Max(
        Math.Max(Key.DynamicSharedBytes, QueryLong.DynamicSharedBytes), ForwardLong.DynamicSharedBytes);

    /// <summary>Whether the kernels exist for a head width.</summary>
    internal static bool Supports(int width) => width is > 0 and <= WidestHead && width % 32 == 0;

    // Q, and one tile each of K and V.
    private int ForwardShared(int queries) => (queries + (2 * _keyTile)) * _width * sizeof(ushort);

    // Two tiles of the block's own rows, and two stages of the two tiles that are walked over.
    private int BackwardShared(int rows) => ((2 * rows) + (4 * _walkTile)) * _width * sizeof(ushort);
}
