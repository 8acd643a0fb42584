// Sums over tokens with a thin factor, as TokenSums.cuh has them; the launcher is MatMulThin.cs. Block (x, y): columns
// 32 x .. of wide, part y.
// check: BLOCKS=1
// check: BLOCKS=2
// check: BLOCKS=3
#include "TokenSums.cuh"

// Columns of thin by eights.
#ifndef BLOCKS
#define BLOCKS 1
#endif

extern __shared__ __align__(128) unsigned char shared_memory[];

extern "C" __global__ __launch_bounds__(256) void token_sums(
    const bf16* wide, i64 wide_stride, const bf16* thin, i64 thin_stride, int thin_wide, float* c, i64 c_row, i64 c_col,
    int tokens, int cols, int ranks, float alpha, int accumulate, float* parts, u32* tickets)
{
    constexpr int owned = TOKEN_COLUMNS * 8 * BLOCKS;
    add_tokens<BLOCKS>(shared_memory, wide, wide_stride, thin, thin_stride, thin_wide, c, c_row, c_col, tokens, cols,
        ranks, alpha, accumulate, blockIdx.x, blockIdx.y, gridDim.y,
        parts + (i64)blockIdx.x * gridDim.y * owned, tickets + blockIdx.x);
}
