using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string LowRankFile = "LowRankBackward.cu";

    // Blocks of B that one launch takes.
    private const int LowRankBlocks = 3;

    // Most tokens at which du is made by the same launch. Measured on an H100 for q, k and v of R = 8 (N = 4608): 6 us
    // against 7 by the library and 4.5 for the gradients alone at 320 tokens, 18.5 against 12 and 12 at 2048, no
    // difference at 4096, 74 against 30 and 39 at 8192.
    private const int LowRankMaxRows = 2048;

    // By columns of u and of the widest block of B, both by eights: 1 1, 2 1, 2 2, 3 1, 3 2, 3 3.
    private readonly Kernel[] _lowRankBackward =
    [
        new(LowRankFile, "low_rank_backward", "RANK_BLOCKS=1", "BLOCKS=1")
        {
            DynamicSharedBytes = LowRankShared(1, 1) + TicketShared,
        },
        new(LowRankFile, "low_rank_backward", "RANK_BLOCKS=2", "BLOCKS=1")
        {
            DynamicSharedBytes = LowRankShared(2, 1) + TicketShared,
        },
        new(LowRankFile, "low_rank_backward", "RANK_BLOCKS=2", "BLOCKS=2")
        {
            DynamicSharedBytes = LowRankShared(2, 2) + TicketShared,
        },
        new(LowRankFile, "low_rank_backward", "RANK_BLOCKS=3", "BLOCKS=1")
        {
            DynamicSharedBytes = LowRankShared(3, 1) + TicketShared,
        },
        new(LowRankFile, "low_rank_backward", "RANK_BLOCKS=3", "BLOCKS=2")
        {
            DynamicSharedBytes = LowRankShared(3, 2) + TicketShared,
        },
        new(LowRankFile, "low_rank_backward", "RANK_BLOCKS=3", "BLOCKS=3")
        {
            DynamicSharedBytes = LowRankShared(3, 3) + TicketShared,
        },
    ];

    /// <inheritdoc/>
    public void LowRankBackward(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, float scale, TensorView du)
    {
        CheckActivation(dy, nameof(dy));
        Guard.Type(b, dy.DType);
        Guard.Shape(b, dy.Cols, u.Cols);
        Guard.Type(u, dy.DType);
        Guard.Shape(u, dy.Rows, u.Cols);
        Guard.Type(du, dy.DType);
        Guard.Shape(du, dy.Rows, u.Cols);
        var widest = 0;
        foreach (var block in blocks)
        {
            Guard.Type(block.Gradient, DType.F32);
            widest = Math.Max(widest, block.Gradient.Cols);
        }

        if (CanLaunchLowRank(dy, u, blocks, widest))
        {
            LaunchLowRank(dy, b, u, blocks, widest, scale, du);
            return;
        }

        MatMul(dy, false, b, false, du);
        foreach (var block in blocks)
        {
            MatMul(
                dy.ColRange(block.FirstRow, block.Gradient.Rows), true,
                u.ColRange(block.FirstRank, block.Gradient.Cols), false, block.Gradient, scale, accumulate: true);
        }
    }

    // The same products as TryThin takes, one after the other.
    private static bool CanLaunchLowRank(TensorView dy, TensorView u, ReadOnlySpan<LowRankBlock> blocks, int widest)
    {
        if (dy.DType != DType.BF16 || dy.Rows == 0 || u.Cols == 0 || widest is 0 or > ThinColumns
            || blocks.Length is 0 or > LowRankBlocks || !Layout.IsWide(dy))
        {
            return false;
        }

        foreach (var block in blocks)
        {
            if (Tiles(block.Gradient.Rows, TokenColumns) > TokenMostTiles
                || !Layout.IsWide(dy.ColRange(block.FirstRow, block.Gradient.Rows)))
            {
                return false;
            }
        }

        return true;
    }

    private void LaunchLowRank(
        TensorView dy, TensorView b, TensorView u, ReadOnlySpan<LowRankBlock> blocks, int widest, float scale,
        TensorView du)
    {
        var tokenBlocks = Tiles(widest, ThinBlock);
        var (rankBlocks, owners, splits, thinBytes) = (tokenBlocks, 0, 1, 0L);
        if (u.Cols <= ThinColumns && dy.Rows <= LowRankMaxRows && dy.Cols >= ThinMinDepth)
        {
            rankBlocks = Tiles(u.Cols, ThinBlock);
            owners = Tiles(dy.Rows, ThinRows);
            splits = ThinSplits(owners, dy.Cols, rankBlocks, _products.Workspace.Bytes);
            thinBytes = (long)owners * splits * ThinPartBytes(rankBlocks);
        }
        else
        {
            MatMul(dy, false, b, false, du);
        }

        var tiles = 0;
        var wide = true;
        Span<LowRankBlock> three = stackalloc LowRankBlock[LowRankBlocks];
        three.Clear();
        blocks.CopyTo(three);
        foreach (var block in blocks)
        {
            tiles += Tiles(block.Gradient.Rows, TokenColumns);
            wide &= Layout.IsWide(u.ColRange(block.FirstRank, block.Gradient.Cols));
        }

        var tokenSplits = owners + tiles > DeviceTables.MaxTickets
            ? 1
            : TokenSplits(tiles, dy.Rows, tokenBlocks, _products.Workspace.Bytes - thinBytes);
        var kernel = _lowRankBackward[(rankBlocks * (rankBlocks - 1) / 2) + tokenBlocks - 1];
        _context.Launch(
            kernel, DType.U8,
            LaunchShape.Of(
                ((long)owners * splits) + ((long)tiles * tokenSplits), ThinThreads,
                LowRankShared(rankBlocks, tokenBlocks)),
            dy, dy.Stride, b, b.Stride, Layout.IsWide(b), u, u.Stride, wide, du, du.Stride, dy.Rows, dy.Cols, u.Cols,
            owners, splits, tokenSplits, scale,
            three[0].FirstRow, three[0].Gradient.Rows, three[0].FirstRank, three[0].Gradient.Cols, three[0].Gradient,
            three[0].Gradient.Stride,
            three[1].FirstRow, three[1].Gradient.Rows, three[1].FirstRank, three[1].Gradient.Cols, three[1].Gradient,
            three[1].Gradient.Stride,
            three[2].FirstRow, three[2].Gradient.Rows, three[2].FirstRank, three[2].Gradient.Cols, three[2].Gradient,
            three[2].Gradient.Stride,
            _products.Workspace.Address, _tables.Tickets);
    }

    private static int LowRankShared(int rankBlocks, int tokenBlocks) =>
        Math.Max(ThinShared(false, rankBlocks), TokenShared(tokenBlocks));
}
