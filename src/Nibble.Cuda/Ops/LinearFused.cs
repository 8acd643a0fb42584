using System.Runtime.InteropServices;
using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    // The kernels' constants: threads, terms of a step, and per kind of kernel the outputs of a block, the most tokens,
    // and steps in shared memory with their bytes of codes and, backward, scales beside those of tokens.
    private const int FusedThreads = 256;
    private const int FusedStep = 64;
    private const int MaxFusedParts = 3;
    private const int MaxSplits = 8;

    private const int WarpOwned = 256;
    private const int WarpTokens = 112;
    private const int WarpStages = 4;
    private const int WarpBackwardBytes = (FusedStep * WarpOwned / 2) + (4 * (FusedStep + 8) * sizeof(float));

    private const int GroupOwned = 128;
    private const int GroupTokens = 224;
    private const int GroupStages = 5;

    // Most tokens with which two blocks of warpgroups share a multiprocessor.
    private const int GroupPairTokens = 64;
    private const int GroupCodeBytes = FusedStep * GroupOwned / 2;
    private const int GroupScaleBytes = 2 * FusedStep * sizeof(float);

    // Blocks of eight tokens: from the smallest kernel to the largest, by twos.
    private const int MinTokenBlocks = 8;
    private const int MaxTokenBlocks = 14;

    // What leaving a part of a sum costs a block, and the launch that adds them, in steps: fitted to an H100, products
    // of 7B layers with 216 tokens in 1 to 8 parts.
    private const int PartSteps = 6;
    private const int SumSteps = 2;

    private readonly Kernel[] _fusedWarps = FusedKernels(1, WarpStages, 0, (bytes, defines) =>
        new Kernel("LinearFused.cu", "linear_fused", defines) { DynamicSharedBytes = bytes });

    private readonly Kernel[] _fusedWarpsBackward = FusedKernels(1, WarpStages, WarpBackwardBytes, (bytes, defines) =>
        new Kernel("LinearFusedBackward.cu", "linear_fused_backward", defines) { DynamicSharedBytes = bytes });

    private readonly Kernel[] _fusedGroups = FusedKernels(2, GroupStages, GroupCodeBytes, (bytes, defines) =>
        new Kernel("LinearFused90.cu", "linear_fused_group", defines) { DynamicSharedBytes = bytes });

    private readonly Kernel[] _fusedGroupsBackward = FusedKernels(
        2, GroupStages, GroupCodeBytes + GroupScaleBytes, (bytes, defines) =>
        new Kernel("LinearFusedBackward90.cu", "linear_fused_backward_group", defines) { DynamicSharedBytes = bytes });

    private readonly Kernel _fusedSum = new("LinearFusedSum.cu", "linear_fused_sum");

    /// <summary>
    /// Most tokens for which a 4-bit weight is multiplied without being dequantised to memory. Above it the round trip
    /// through <see cref="DequantizationScratch"/> is cheaper: measured on an H100 with the products of a 7B layer,
    /// 156, 230 and 315 us forward for 64, 128 and 216 tokens against about 390, 390 and 410; backward 192, 293 and
    /// 353, and with 256 tokens 477 against 405. Not measured on others, where the kernels without warpgroups run: on
    /// the same card those took 198 and 208 us for 64 tokens, but 456 and 479 for 216, more than the round trip. A card
    /// with less bandwidth for its arithmetic gains more.
    /// </summary>
    public const int FusedTokens = 224;

    // Products of warpgroups, sm_90a.
    private bool HasGroups => _context.Info is { Major: 9, Minor: 0 };

    // y = x Wᵀ + b, or dx (+)= dy W, without dequantising W to memory; false where that is not to be had, or slower.
    private bool TryFused(TensorView x, FrozenLinear weight, TensorView y, bool backward, bool accumulate)
    {
        if (x.DType != DType.BF16 || x.Rows > FusedTokens || weight.In % QuantizedMatrix.BlockSize != 0
            || !Layout.IsWide(x) || weight.Quantized.Length is 0 or > MaxFusedParts
            || y.Address % 8 != 0 || y.Stride % 4 != 0)
        {
            return false;
        }

        foreach (var part in weight.Quantized)
        {
            // Rows of W are columns of y, written 8 bytes at a time, or of dy, read 16 bytes at a time.
            if (part.Codes.Address % 16 != 0 || part.Code != weight.Quantized[0].Code
                || part.Rows % (backward ? 8 : 4) != 0)
            {
                return false;
            }
        }

        LaunchFused(x, weight, y, backward, accumulate);
        return true;
    }

    private unsafe void LaunchFused(
        TensorView x, FrozenLinear weight, TensorView y, bool backward, bool accumulate)
    {
        var groups = HasGroups;
        var owned = groups ? GroupOwned : WarpOwned;
        var eights = Tiles(Tiles(x.Rows, Tiles(x.Rows, groups ? GroupTokens : WarpTokens)), 8);
        var tokenTiles = eights > MaxTokenBlocks ? 2 : 1;
        var blocks = Math.Max(2 * Tiles(eights, 2 * tokenTiles), MinTokenBlocks);
        var tokens = 8 * blocks * tokenTiles;

        var stack = Stack(weight.Quantized);
        var outputs = backward ? new FusedStack { Top = new FusedPart { Rows = weight.In } } : stack;
        var tiles = outputs.Count(owned) * Tiles(x.Rows, tokens);
        var steps = backward ? stack.Count(FusedStep) : weight.In / FusedStep;
        var atOnce = _context.Info.Multiprocessors * (groups && tokens <= GroupPairTokens ? 2 : 1);
        var whole = tiles / atOnce * atOnce;
        var splits = Splits(tiles - whole, steps, (long)owned * tokens * sizeof(float), atOnce);
        if (splits == 1)
        {
            whole = tiles;
        }

        var bias = backward ? TensorView.None : weight.Bias;
        var output = new FusedOutput
        {
            Y = y.Address,
            Stride = y.Stride,
            Bias = bias.Address,
            BiasType = (int)bias.DType,
            Accumulate = accumulate ? 1 : 0,
        };
        var kernel = (groups
            ? backward ? _fusedGroupsBackward : _fusedGroups
            : backward ? _fusedWarpsBackward : _fusedWarps)[FusedIndex(blocks, tokenTiles)];
        var (input, stride, rows, cols) = (x.Address, (long)x.Stride, x.Rows, weight.In);
        var (values, parts) = (_tables.Values(weight.Quantized[0].Code), _products.Workspace.Address);
        var arguments = stackalloc void*[]
        {
            &input, &stride, &rows, &cols, &values, &stack, &output, &parts, &whole, &splits,
        };
        var grid = (uint)(whole + ((tiles - whole) * splits));
        _context.Launch(
            kernel, DType.U8, new LaunchShape(grid, 1, 1, FusedThreads, (uint)kernel.DynamicSharedBytes), arguments);
        if (whole < tiles)
        {
            _context.Launch(
                _fusedSum, DType.U8,
                new LaunchShape(
                    (uint)Tiles(tokens * owned / 4, FusedThreads), (uint)(tiles - whole), 1, FusedThreads, 0),
                parts, owned, tokens, splits, whole, rows, outputs.Top.Rows, outputs.Middle.Rows, outputs.Bottom.Rows,
                y, y.Stride, bias, (int)bias.DType, accumulate);
        }
    }

    // Into how many parts the sums of the tiles that do not fill the card are split: a function of shapes and card
    // alone, because the order of summation depends on it. The parts lie in the products' workspace, which is free
    // between two ops of the stream.
    private int Splits(int tiles, int steps, long tileBytes, int atOnce)
    {
        var (best, least) = (1, (long)Tiles(tiles, atOnce) * steps);
        for (var splits = 2; splits <= Math.Min(MaxSplits, steps); splits++)
        {
            var taken = ((long)Tiles(tiles * splits, atOnce) * (Tiles(steps, splits) + PartSteps)) + SumSteps;
            if (taken < least && tiles * splits * tileBytes <= _products.Workspace.Bytes)
            {
                (best, least) = (splits, taken);
            }
        }

        return best;
    }

    private static FusedStack Stack(QuantizedMatrix[] parts) =>
        new()
        {
            Top = Part(parts[0]),
            Middle = parts.Length > 1 ? Part(parts[1]) : default,
            Bottom = parts.Length > 2 ? Part(parts[2]) : default,
        };

    private static FusedPart Part(QuantizedMatrix part) =>
        new()
        {
            Codes = part.Codes.Address,
            AbsMax = part.AbsMax.Address,
            NestedAbsMax = part.NestedAbsMax.Address,
            NestedMap = part.NestedMap.Address,
            Offset = part.Offset,
            Rows = part.Rows,
        };

    private static int FusedIndex(int blocks, int tokenTiles) =>
        ((tokenTiles - 1) * ((MaxTokenBlocks - MinTokenBlocks + 2) / 2)) + ((blocks - MinTokenBlocks) / 2);

    private static Kernel[] FusedKernels(int mostTiles, int stages, int moreBytes, Func<int, string[], Kernel> create)
    {
        var kernels = new Kernel[FusedIndex(MaxTokenBlocks, mostTiles) + 1];
        for (var tiles = 1; tiles <= mostTiles; tiles++)
        {
            for (var blocks = MinTokenBlocks; blocks <= MaxTokenBlocks; blocks += 2)
            {
                kernels[FusedIndex(blocks, tiles)] = create(
                    stages * ((8 * blocks * tiles * FusedStep * sizeof(ushort)) + moreBytes),
                    [$"TOKEN_BLOCKS={blocks}", $"TOKEN_TILES={tiles}"]);
            }
        }

        return kernels;
    }

    /// <summary>The kernels' Part.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FusedPart
    {
        internal nint Codes;
        internal nint AbsMax;
        internal nint NestedAbsMax;
        internal nint NestedMap;
        internal float Offset;
        internal int Rows;
    }

    /// <summary>The kernels' Stack.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FusedStack
    {
        internal FusedPart Top;
        internal FusedPart Middle;
        internal FusedPart Bottom;

        /// <summary>Tiles of that many rows, each matrix on its own.</summary>
        internal readonly int Count(int rows) =>
            Tiles(Top.Rows, rows) + Tiles(Middle.Rows, rows) + Tiles(Bottom.Rows, rows);
    }

    /// <summary>The kernels' Output.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct FusedOutput
    {
        internal nint Y;
        internal long Stride;
        internal nint Bias;
        internal int BiasType;
        internal int Accumulate;
    }
}
