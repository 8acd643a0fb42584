// Fused products by the tensor cores' instruction of a warpgroup, sm_90a: the second operand, 64 terms of all of the
// block's tokens, comes from shared memory without passing through registers, and one product runs while the weight of
// the next is dequantised. A block owns 128 outputs, 64 for each of its two groups: a lane has two that stand together,
// as rows g and g + 8 of its warp's 16.
#pragma once
#include "FusedProduct.cuh"
#include "Wgmma.cuh"

constexpr int OWNED = 128;

// Steps in shared memory: one that is multiplied, one that may still be, one that is dequantised, two under way.
constexpr int STAGES = 5;

// Blocks of a multiprocessor at a time.
constexpr int RESIDENT = TOKENS <= 64 ? 2 : 1;

// Codes of a step.
constexpr int CODE_BYTES = STEP * OWNED / 2;

// The first operand of a step: four of the instruction's.
typedef u32 Fragments[4][4];

#define BLOCK_OF(c, i) "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])

// c += a b^T over 16 terms: 64 rows of a in registers, 8 * TOKEN_BLOCKS rows of b.
__device__ __forceinline__ void group_mma_tokens(
    float (&c)[TOKEN_BLOCKS][4], const unsigned (&a)[4], unsigned long long b)
{
#if TOKEN_BLOCKS == 8
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
        "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, p, 1, 1, 0; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1));
#elif TOKEN_BLOCKS == 10
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %45, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n80k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
        "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
        "%38, %39}, "
        "{%40, %41, %42, %43}, %44, p, 1, 1, 0; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7), BLOCK_OF(c, 8), BLOCK_OF(c, 9)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1));
#elif TOKEN_BLOCKS == 12
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %53, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n96k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
        "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
        "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47}, "
        "{%48, %49, %50, %51}, %52, p, 1, 1, 0; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7), BLOCK_OF(c, 8), BLOCK_OF(c, 9), BLOCK_OF(c, 10), BLOCK_OF(c, 11)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1));
#elif TOKEN_BLOCKS == 14
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %61, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n112k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
        "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
        "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, %53, %54, %55}, "
        "{%56, %57, %58, %59}, %60, p, 1, 1, 0; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7), BLOCK_OF(c, 8), BLOCK_OF(c, 9), BLOCK_OF(c, 10), BLOCK_OF(c, 11),
          BLOCK_OF(c, 12), BLOCK_OF(c, 13)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1));
#endif
}

#undef BLOCK_OF

// Starts acc += a b^T over a step; `stage` holds the tokens.
__device__ __forceinline__ void multiply_step(
    float (&acc)[TOKEN_TILES][TOKEN_BLOCKS][4], const Fragments& a, unsigned stage)
{
    group_fence();
#pragma unroll
    for (int k = 0; k < STEP / 16; k++)
    {
#pragma unroll
        for (int t = 0; t < TOKEN_TILES; t++)
        {
            group_mma_tokens(acc[t], a[k], panel_descriptor(stage + t * TOKEN_BLOCKS * panel_group_bytes + k * 32, 0));
        }
    }

    group_commit();
}

// Writes the block's sums, of which this lane's two outputs are `own` and the next: to y, or where they are one part of
// several to `parts`, [tokens of a tile, 128] each. `col` is the column of the tile's first output, of which there are
// `cols`.
__device__ __forceinline__ void write_sums(
    const float (&acc)[TOKEN_TILES][TOKEN_BLOCKS][4], const Work& work, int whole, int tokens, int own, int col,
    int cols, const Output& output, float* parts)
{
    float* part = parts + ((i64)blockIdx.x - whole) * (TOKENS * OWNED) + own;
    float bias[2];
    output.read_bias(bias, col + own, own < cols);
#pragma unroll
    for (int t = 0; t < TOKEN_TILES; t++)
    {
#pragma unroll
        for (int n = 0; n < TOKEN_BLOCKS; n++)
        {
#pragma unroll
            for (int e = 0; e < 2; e++)
            {
                int token = 8 * (t * TOKEN_BLOCKS + n) + threadIdx.x % 4 * 2 + e;
                if (work.token + token >= tokens) continue;
                const float sums[2] = {acc[t][n][e], acc[t][n][2 + e]};
                if (work.splits > 1)
                    *(float2*)(part + token * OWNED) = make_float2(sums[0], sums[1]);
                else if (own < cols)
                    output.write(work.token + token, col + own, sums, bias);
            }
        }
    }
}
