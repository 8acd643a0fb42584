// Backward of y += u B^T with a block-diagonal B, output side: du = dy B, and the gradients of up to three blocks of B,
// in one launch of two kinds of blocks, which read dy at the same time. bf16, sums in F32, sm_80 and later.
// check: RANK_BLOCKS=1 BLOCKS=1
// check: RANK_BLOCKS=2 BLOCKS=1
// check: RANK_BLOCKS=2 BLOCKS=2
// check: RANK_BLOCKS=3 BLOCKS=1
// check: RANK_BLOCKS=3 BLOCKS=2
// check: RANK_BLOCKS=3 BLOCKS=3
#include "TokenSums.cuh"

// Columns of u by eights, and of the widest block of B.
#ifndef RANK_BLOCKS
#define RANK_BLOCKS 1
#endif
#ifndef BLOCKS
#define BLOCKS 1
#endif

extern __shared__ __align__(128) unsigned char shared_memory[];

// Blocks of du first, `owners` times `splits`; then those of the gradients, `token_splits` for every 32 columns of dy.
// Gradient i [rows i, ranks i] is that of rows first i .. of B and of columns rank i .. of u; one without rows is none.
extern "C" __global__ __launch_bounds__(256, 2) void low_rank_backward(
    const bf16* dy, i64 dy_stride, const bf16* b, i64 b_stride, int b_wide, const bf16* u, i64 u_stride, int u_wide,
    bf16* du, i64 du_stride, int tokens, int width, int u_cols, int owners, int splits, int token_splits, float scale,
    int first0, int rows0, int rank0, int ranks0, float* gradient0, i64 stride0,
    int first1, int rows1, int rank1, int ranks1, float* gradient1, i64 stride1,
    int first2, int rows2, int rank2, int ranks2, float* gradient2, i64 stride2, float* parts, u32* tickets)
{
    int block = blockIdx.x, thin = owners * splits;
    if (block < thin)
    {
        thin_rows<RANK_BLOCKS, false>(shared_memory, dy, dy_stride, b, b_stride, b_wide, du, du_stride, tokens, u_cols,
            width, 1.0f, 0, block / splits, block % splits, splits, parts, tickets);
        return;
    }

    int tile = (block - thin) / token_splits, part = (block - thin) % token_splits;
    parts += (i64)thin * (THIN_ROWS * 8 * RANK_BLOCKS) + (i64)tile * token_splits * (TOKEN_COLUMNS * 8 * BLOCKS);
    tickets += owners + tile;
    int tiles0 = (rows0 + TOKEN_COLUMNS - 1) / TOKEN_COLUMNS, tiles1 = (rows1 + TOKEN_COLUMNS - 1) / TOKEN_COLUMNS;
    int first = first0, rows = rows0, rank = rank0, ranks = ranks0;
    float* gradient = gradient0;
    i64 stride = stride0;
    if (tile >= tiles0 + tiles1)
    {
        tile -= tiles0 + tiles1;
        first = first2, rows = rows2, rank = rank2, ranks = ranks2, gradient = gradient2, stride = stride2;
    }
    else if (tile >= tiles0)
    {
        tile -= tiles0;
        first = first1, rows = rows1, rank = rank1, ranks = ranks1, gradient = gradient1, stride = stride1;
    }

    add_tokens<BLOCKS>(shared_memory, dy + first, dy_stride, u + rank, u_stride, u_wide, gradient, stride, 1, tokens,
        rows, ranks, scale, 1, tile, part, token_splits, parts, tickets);
}
