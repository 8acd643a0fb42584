// Fused products by the tensor cores' instruction of one warp, sm_80 and later. A block owns 256 outputs, 32 for each
// of its warps: lane 4 g + q has outputs 4 g .. 4 g + 3 of the 32, as rows g and g + 8 of two tiles of the instruction.
// A step is taken in two halves; in half h a lane holds eight terms that stand together in memory, for both operands:
// sums may be taken in any order.
#pragma once
#include "FusedProduct.cuh"

constexpr int WARPS = THREADS / WARP;
constexpr int OWNED = 32 * WARPS;

// Steps under way.
constexpr int STAGES = 4;

// The fragments of half a step: for two steps of the instruction, two tiles.
typedef u32 Fragments[2][2][4];

// acc += a b over half a step, `at` this lane's piece of the first token. What comes next is prepared meanwhile:
// registers 0 .. 15 of it, one call each.
template <class Prepare>
__device__ __forceinline__ void multiply_half(
    float (&acc)[2][TOKEN_BLOCKS][4], const Fragments& a, const unsigned char* at, Prepare prepare)
{
    constexpr int PAIRS = TOKEN_BLOCKS / 2;
    uint4 b[2][2];
    b[0][0] = *(const uint4*)at;
    b[0][1] = *(const uint4*)(at + 1024);
#pragma unroll
    for (int n = 0; n < PAIRS; n++)
    {
        if (n + 1 < PAIRS)
        {
            b[(n + 1) % 2][0] = *(const uint4*)(at + (2 * n + 2) * 1024);
            b[(n + 1) % 2][1] = *(const uint4*)(at + (2 * n + 3) * 1024);
        }

#pragma unroll
        for (int p = 0; p < 2; p++)
            for (int i = 0; i < 2; i++) mma_bf16(acc[i][2 * n + p], a[0][i], b[n % 2][p].x, b[n % 2][p].y);
#pragma unroll
        for (int p = 0; p < 2; p++)
            for (int i = 0; i < 2; i++) mma_bf16(acc[i][2 * n + p], a[1][i], b[n % 2][p].z, b[n % 2][p].w);
#pragma unroll
        for (int r = 16 * n / PAIRS; r < 16 * (n + 1) / PAIRS; r++) prepare(r);
    }
}

// Writes the block's sums: to y, or where they are one part of several to `parts`, [tokens of a tile, 256] each.
// `col` is the column of the tile's first output, of which there are `cols`.
__device__ __forceinline__ void write_sums(
    const float (&acc)[2][TOKEN_BLOCKS][4], const Work& work, int whole, int tokens, int col, int cols,
    const Output& output, float* parts)
{
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, own = warp * 32 + lane / 4 * 4;
    float* part = parts + ((i64)blockIdx.x - whole) * (TOKENS * OWNED) + own;
    float bias[4];
    output.read_bias(bias, col + own, own < cols);
#pragma unroll
    for (int n = 0; n < TOKEN_BLOCKS; n++)
    {
#pragma unroll
        for (int e = 0; e < 2; e++)
        {
            int token = 8 * n + lane % 4 * 2 + e;
            if (work.token + token >= tokens) continue;
            const float sums[4] = {acc[0][n][e], acc[0][n][2 + e], acc[1][n][e], acc[1][n][2 + e]};
            if (work.splits > 1)
                *(float4*)(part + token * OWNED) = make_float4(sums[0], sums[1], sums[2], sums[3]);
            else if (own < cols)
                output.write(work.token + token, col + own, sums, bias);
        }
    }
}
