// Products with few columns and long sums, as ThinRows.cuh has them; the launcher is MatMulThin.cs. The letters say how
// b is stored: n as the product reads it, [depth, R], t transposed, [R, depth]. Block (x, y): rows 16 y .., part x.
// check: BLOCKS=1
// check: BLOCKS=2
// check: BLOCKS=3
#include "ThinRows.cuh"

// Columns of c by eights.
#ifndef BLOCKS
#define BLOCKS 1
#endif

extern __shared__ __align__(128) unsigned char shared_memory[];

extern "C" __global__ __launch_bounds__(256, 2) void thin_nn(
    const bf16* a, i64 a_stride, const bf16* b, i64 b_stride, int b_wide, bf16* c, i64 c_stride, int rows, int cols,
    int depth, float alpha, int accumulate, float* parts, u32* tickets)
{
    thin_rows<BLOCKS, false>(shared_memory, a, a_stride, b, b_stride, b_wide, c, c_stride, rows, cols, depth, alpha,
        accumulate, blockIdx.y, blockIdx.x, gridDim.x, parts, tickets);
}

extern "C" __global__ __launch_bounds__(256, 2) void thin_nt(
    const bf16* a, i64 a_stride, const bf16* b, i64 b_stride, int b_wide, bf16* c, i64 c_stride, int rows, int cols,
    int depth, float alpha, int accumulate, float* parts, u32* tickets)
{
    thin_rows<BLOCKS, true>(shared_memory, a, a_stride, b, b_stride, b_wide, c, c_stride, rows, cols, depth, alpha,
        accumulate, blockIdx.y, blockIdx.x, gridDim.x, parts, tickets);
}
