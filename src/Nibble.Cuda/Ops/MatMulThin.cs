using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string ThinFile = "MatMulThin.cu";
    private const string TokensFile = "MatMulTokens.cu";

    private const int ThinThreads = 256;
    private const int ThinWarps = 8;

    // Most columns of the thin operand, in registers as blocks of eight. With more, the library is as fast: measured on
    // an H100 from 32 columns on at any number of rows.
    private const int ThinColumns = 24;
    private const int ThinBlock = 8;

    // Shortest sum, below which a block's warps have nothing to share, and most rows. Measured on an H100 with sums of
    // 3584 and 4608: at 320 rows 4 to 5.5 us against the library's 6.5 to 7.5, as fast at 2048 (with more than eight
    // columns and b as the product reads it, at 1024), and up to a fifth slower at 8192.
    private const int ThinMinDepth = 256;
    private const int ThinMaxRows = 2048;
    private const int ThinMaxRowsOfColumns = 768;

    private const int ThinRows = 16;
    private const int ThinUnit = 64;
    private const int ThinStages = 2;

    // Sums over tokens: measured on an H100, ahead of the library at 320 to 8192 tokens with 512 and 3584 columns, and
    // behind it (165 us against 117 at 8192 tokens) with 18944.
    private const int TokenColumns = 32;
    private const int TokenMostTiles = 256;
    private const int TokenStep = 32;
    private const int TokenStages = 3;

    // Most parts of a sum, as in Ticket.cuh, and the ticket's word, which takes shared memory beside the kernel's own.
    private const int MaxParts = 8;
    private const int TicketShared = 128;

    // By blocks of eight columns.
    private readonly Kernel[] _thinNn =
    [
        new(ThinFile, "thin_nn", "BLOCKS=1") { DynamicSharedBytes = ThinShared(false, 1) + TicketShared },
        new(ThinFile, "thin_nn", "BLOCKS=2") { DynamicSharedBytes = ThinShared(false, 2) + TicketShared },
        new(ThinFile, "thin_nn", "BLOCKS=3") { DynamicSharedBytes = ThinShared(false, 3) + TicketShared },
    ];

    private readonly Kernel[] _thinNt =
    [
        new(ThinFile, "thin_nt", "BLOCKS=1") { DynamicSharedBytes = ThinShared(true, 1) + TicketShared },
        new(ThinFile, "thin_nt", "BLOCKS=2") { DynamicSharedBytes = ThinShared(true, 2) + TicketShared },
        new(ThinFile, "thin_nt", "BLOCKS=3") { DynamicSharedBytes = ThinShared(true, 3) + TicketShared },
    ];

    private readonly Kernel[] _tokenSums =
    [
        new(TokensFile, "token_sums", "BLOCKS=1") { DynamicSharedBytes = TokenShared(1) + TicketShared },
        new(TokensFile, "token_sums", "BLOCKS=2") { DynamicSharedBytes = TokenShared(2) + TicketShared },
        new(TokensFile, "token_sums", "BLOCKS=3") { DynamicSharedBytes = TokenShared(3) + TicketShared },
    ];

    // A product with a factor of low rank on either side of a long sum: x Aᵀ and dy B in bf16, dyᵀ u and duᵀ x in F32;
    // else false.
    private bool TryThin(in Product product) =>
        product.A.DType == DType.BF16 && product.B.DType == DType.BF16 && product.Bias.IsNone
        && (product.TransposeA ? TryTokenSums(product) : TryThinRows(product));

    private bool TryThinRows(in Product product)
    {
        var (a, b, c) = (product.A, product.B, product.C);
        var most = product.TransposeB || c.Cols <= ThinBlock ? ThinMaxRows : ThinMaxRowsOfColumns;
        if (c.DType != DType.BF16 || c.Cols > ThinColumns || c.Rows > most || product.Depth < ThinMinDepth
            || !Layout.IsWide(a) || (product.TransposeB && !Layout.IsWide(b)))
        {
            return false;
        }

        var blocks = Tiles(c.Cols, ThinBlock);
        var owners = Tiles(c.Rows, ThinRows);
        var splits = ThinSplits(owners, product.Depth, blocks, _products.Workspace.Bytes);
        _context.Launch(
            (product.TransposeB ? _thinNt : _thinNn)[blocks - 1], DType.U8,
            new LaunchShape(
                (uint)splits, (uint)owners, 1, ThinThreads, (uint)ThinShared(product.TransposeB, blocks)),
            a, a.Stride, b, b.Stride, Layout.IsWide(b), c, c.Stride, c.Rows, c.Cols, product.Depth, product.Alpha,
            product.Accumulate, _products.Workspace.Address, _tables.Tickets);
        return true;
    }

    private bool TryTokenSums(in Product product)
    {
        var c = product.C;
        var byRows = c.Cols <= c.Rows;
        var (wide, thin) = byRows ? (product.A, product.B) : (product.B, product.A);
        var owners = Tiles(wide.Cols, TokenColumns);
        if (product.TransposeB || c.DType != DType.F32 || thin.Cols > ThinColumns || product.Depth == 0
            || owners > TokenMostTiles || !Layout.IsWide(wide))
        {
            return false;
        }

        var blocks = Tiles(thin.Cols, ThinBlock);
        var splits = TokenSplits(owners, wide.Rows, blocks, _products.Workspace.Bytes);
        _context.Launch(
            _tokenSums[blocks - 1], DType.U8,
            new LaunchShape((uint)owners, (uint)splits, 1, ThinThreads, (uint)TokenShared(blocks)),
            wide, wide.Stride, thin, thin.Stride, Layout.IsWide(thin), c, byRows ? c.Stride : 1, byRows ? 1 : c.Stride,
            wide.Rows, wide.Cols, thin.Cols, product.Alpha, product.Accumulate, _products.Workspace.Address,
            _tables.Tickets);
        return true;
    }

    private int ThinSplits(int owners, int depth, int blocks, long bytes) =>
        Parts(owners, Tiles(depth, ThinUnit * ThinWarps * ThinStages), ThinPartBytes(blocks), bytes);

    private int TokenSplits(int owners, int tokens, int blocks, long bytes) =>
        Parts(owners, tokens / (TokenStep * ThinWarps), TokenColumns * blocks * ThinBlock * sizeof(float), bytes);

    // Into how many parts a sum is split so that the card is filled, at most `most`: a function of shapes and card
    // alone, because the order of summation depends on it. The parts lie in the products' workspace, which is free
    // between two ops of the stream.
    private int Parts(int owners, int most, long partBytes, long bytes)
    {
        var wanted = Math.Min(Math.Min(_context.Info.Multiprocessors / owners, most), MaxParts);
        return owners <= DeviceTables.MaxTickets && wanted > 1
            ? (int)Math.Max(Math.Min(wanted, bytes / (owners * partBytes)), 1)
            : 1;
    }

    private static int ThinPartBytes(int blocks) => ThinRows * blocks * ThinBlock * sizeof(float);

    // Bytes of a row of the thin operand in shared memory: an odd number of chunks.
    private static int ThinPitch(int blocks) => (blocks | 1) * 16;

    // What is under way in a warp, more than the sums that take its place: here and below.
    private static int ThinShared(bool transposeB, int blocks) =>
        ThinWarps * ThinStages * ThinUnit * (transposeB ? blocks * ThinBlock * sizeof(ushort) : ThinPitch(blocks));

    private static int TokenShared(int blocks) =>
        ThinWarps * TokenStages * TokenStep * ((TokenColumns * sizeof(ushort)) + ThinPitch(blocks));
}
