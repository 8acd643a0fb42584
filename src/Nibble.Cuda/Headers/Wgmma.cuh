// Products of a warpgroup, sm_90a: four warps multiply at a time, and the second operand, for all 64 rows, comes from
// shared memory once. Tiles are panels of 64 columns, [rows x 64] bf16 at a multiple of 1024 bytes, swizzled like
// Tile.cuh's tiles of width 64, which is the layout that the hardware calls 128-byte swizzle. Accumulators and operands
// in registers have the layouts of Mma.cuh, warp w of the group holding rows 16 w .. 16 w + 15.
#pragma once
#include "Tile.cuh"

// Bytes of eight rows of a panel.
constexpr unsigned panel_group_bytes = 1024;

// A tile in shared memory as the instruction wants it: address of the first element, and bytes from one panel to the
// next, which matters only for an operand that is wider than a panel.
__device__ __forceinline__ unsigned long long panel_descriptor(unsigned address, unsigned panel_bytes)
{
    return (unsigned long long)((address & 0x3ffff) >> 4) | (unsigned long long)(panel_bytes >> 4) << 16
        | (unsigned long long)(panel_group_bytes >> 4) << 32 | 1ull << 62;
}

// What this thread copied to shared memory becomes visible to products; others' copies need a barrier after it.
__device__ __forceinline__ void publish_shared()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Registers written before are ready for the products that follow.
__device__ __forceinline__ void group_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void group_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until at most `pending` groups of products are under way.
template <int pending>
__device__ __forceinline__ void group_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(pending) : "memory");
}

// Keeps the compiler from using accumulators before the wait above this line.
template <int blocks>
__device__ __forceinline__ void group_results(float (&c)[blocks][4])
{
#pragma unroll
    for (int i = 0; i < blocks; i++)
    {
        asm volatile("" : "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3]) :: "memory");
    }
}

#define BLOCK_OF(c, i) "+f"(c[i][0]), "+f"(c[i][1]), "+f"(c[i][2]), "+f"(c[i][3])

// c (+)= a b^T over 16 columns: 64 rows of a, 64 rows of b.
__device__ __forceinline__ void group_mma_rows(
    float (&c)[8][4], unsigned long long a, unsigned long long b, int accumulate)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "%32, %33, p, 1, 1, 0, 0; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7)
        : "l"(a), "l"(b), "r"(accumulate));
}

// c (+)= a b^T over 16 columns: 64 rows of a in registers, 64 rows of b.
__device__ __forceinline__ void group_mma_rows(
    float (&c)[8][4], const unsigned (&a)[4], unsigned long long b, int accumulate)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %37, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, p, 1, 1, 0; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));
}

// c += a b over 16 rows of b: 64 rows of a in registers, 128 columns of b in two panels.
__device__ __forceinline__ void group_mma_columns(float (&c)[16][4], const unsigned (&a)[4], unsigned long long b)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %69, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "{%64, %65, %66, %67}, %68, p, 1, 1, 1; }"
        : BLOCK_OF(c, 0), BLOCK_OF(c, 1), BLOCK_OF(c, 2), BLOCK_OF(c, 3), BLOCK_OF(c, 4), BLOCK_OF(c, 5),
          BLOCK_OF(c, 6), BLOCK_OF(c, 7), BLOCK_OF(c, 8), BLOCK_OF(c, 9), BLOCK_OF(c, 10), BLOCK_OF(c, 11),
          BLOCK_OF(c, 12), BLOCK_OF(c, 13), BLOCK_OF(c, 14), BLOCK_OF(c, 15)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(1));
}

#undef BLOCK_OF

// The functions below take tiles [64 x 128] in two panels of this many bytes.
constexpr unsigned half_tile_bytes = 64 * 128;

// c = a b^T over 128 columns for two tiles; enqueued, not waited for.
__device__ __forceinline__ void group_multiply_rows(float (&c)[8][4], unsigned a_tile, unsigned b_tile)
{
#pragma unroll
    for (int k = 0; k < 8; k++)
    {
        unsigned at = (unsigned)(k / 4) * half_tile_bytes + (unsigned)(k % 4) * 32;
        group_mma_rows(
            c, panel_descriptor(a_tile + at, half_tile_bytes), panel_descriptor(b_tile + at, half_tile_bytes), k > 0);
    }
}

// The same with a in registers.
__device__ __forceinline__ void group_multiply_rows(float (&c)[8][4], const unsigned (&a)[8][4], unsigned b_tile)
{
#pragma unroll
    for (int k = 0; k < 8; k++)
    {
        unsigned at = (unsigned)(k / 4) * half_tile_bytes + (unsigned)(k % 4) * 32;
        group_mma_rows(c, a[k], panel_descriptor(b_tile + at, half_tile_bytes), k > 0);
    }
}

// c += p b for p [64 x 64] in registers, two 8-column blocks to a step, and a tile b; enqueued, not waited for.
__device__ __forceinline__ void group_multiply_columns(
    float (&c)[16][4], const unsigned (&p)[4][4], unsigned b_tile)
{
#pragma unroll
    for (int k = 0; k < 4; k++)
    {
        group_mma_columns(
            c, p[k], panel_descriptor(b_tile + (unsigned)k * 2 * panel_group_bytes, half_tile_bytes));
    }
}

// Rounds accumulators to the operand above.
__device__ __forceinline__ void pack_operand(unsigned (&p)[4][4], const float (&c)[8][4])
{
#pragma unroll
    for (int k = 0; k < 4; k++)
    {
        p[k][0] = pack_bf16(c[2 * k][0], c[2 * k][1]);
        p[k][1] = pack_bf16(c[2 * k][2], c[2 * k][3]);
        p[k][2] = pack_bf16(c[2 * k + 1][0], c[2 * k + 1][1]);
        p[k][3] = pack_bf16(c[2 * k + 1][2], c[2 * k + 1][3]);
    }
}

// The 16 rows of this warp, as the first operand of products over a tile's columns.
__device__ __forceinline__ void load_operand(unsigned (&a)[8][4], unsigned tile, int warp_row, LaneOffset offset)
{
#pragma unroll
    for (int k = 0; k < 8; k++)
    {
        load_matrix_x4(
            a[k], block_address<64>(tile + (unsigned)(k / 4) * half_tile_bytes, offset, warp_row, (k % 4) * 16));
    }
}

// Starts copying 64 rows of 128 columns into a tile; rows at or past `count` become zeros.
template <int threads>
__device__ __forceinline__ void load_panels_async(
    unsigned tile, const bf16* source, long long stride, int first, int count)
{
    load_tile_async<64, 64, threads>(tile, source, stride, first, count);
    load_tile_async<64, 64, threads>(tile + half_tile_bytes, source + 64, stride, first, count);
}
