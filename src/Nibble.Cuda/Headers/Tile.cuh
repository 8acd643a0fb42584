// Tiles of bf16 in shared memory: rows of `width` elements (a multiple of 32), cut into chunks of 16 bytes. Chunk c
// of row r lies where chunk c ^ swizzle(r) would lie without it, so that the eight rows of one 8 x 8 matrix fall into
// different groups of banks.
#pragma once
#include "Mma.cuh"

// Rows of a multiple of 128 bytes all start in bank 0: eight flips are needed. Rows of an odd multiple of 64 bytes
// alternate between banks 0 and 16: four flips, changed every second row, are enough and stay within the row.
template <int width>
__device__ __forceinline__ int tile_swizzle(int row)
{
    return width % 64 == 0 ? row & 7 : (row >> 1) & 3;
}

// Byte offset of a chunk in its tile.
template <int width>
__device__ __forceinline__ unsigned tile_offset(int row, int chunk)
{
    return (unsigned)(row * (width / 8) + (chunk ^ tile_swizzle<width>(row))) * 16u;
}

// What a lane adds to a tile's address for load_matrix_x4 over a block of 16 rows and 16 columns: lanes 0..15 name
// the rows of the left half, lanes 16..31 those of the right half. Loaded so, r[0..3] are
//   plain:       an A operand as it stands; of a B operand stored [n][k], r[0] and r[2] for n 0..7, r[1] and r[3] for
//                n 8..15
//   transposed:  of a B operand stored [k][n], r[0] and r[1] for n 0..7, r[2] and r[3] for n 8..15
struct LaneOffset
{
    unsigned row;
    unsigned flip;
};

template <int width>
__device__ __forceinline__ LaneOffset lane_offset(int lane)
{
    int row = lane & 15;
    LaneOffset offset;
    offset.row = (unsigned)row * width * 2;
    // The half chooses bit 0 of the chunk, block column 16 j its higher bits, so both flips combine by exclusive or.
    offset.flip = (unsigned)(tile_swizzle<width>(row) ^ (lane >> 4)) * 16u;
    return offset;
}

// Address for rows row .. row + 15 (a multiple of 16) and columns column .. column + 15 (a multiple of 16).
template <int width>
__device__ __forceinline__ unsigned block_address(unsigned tile, LaneOffset offset, int row, int column)
{
    // Flips stay below 128 bytes: four addresses serve all columns, the rest becomes a constant of the instruction.
    unsigned at = (unsigned)column * 2;
    return tile + offset.row + ((at & 127u) ^ offset.flip) + ((unsigned)row * width * 2 + (at & ~127u));
}

// Starts copying rows first .. first + rows - 1 of a matrix with `stride` elements from row to row; rows at or past
// `count` become zeros. All threads of the block take part; source rows are 16-byte aligned.
template <int width, int rows, int threads>
__device__ __forceinline__ void load_tile_async(
    unsigned tile, const bf16* source, long long stride, int first, int count)
{
    constexpr int chunks = width / 8;
    constexpr int total = rows * chunks;
    if constexpr (threads % chunks == 0)
    {
        // A thread keeps its chunk and walks down the rows with one pointer.
        constexpr int step = threads / chunks;
        int row = threadIdx.x / chunks;
        int chunk = threadIdx.x % chunks;
        const bf16* from = source + (first + row) * stride + chunk * 8;
#pragma unroll
        for (int i = 0; i < rows; i += step)
        {
            if (rows % step == 0 || row + i < rows)
            {
                bool valid = first + row + i < count;
                copy_async_16(tile + tile_offset<width>(row + i, chunk), valid ? from : source, valid);
                from += step * stride;
            }
        }
    }
    else
    {
#pragma unroll
        for (int base = 0; base < total; base += threads)
        {
            int index = base + (int)threadIdx.x;
            if (total % threads == 0 || index < total)
            {
                int row = index / chunks;
                int chunk = index % chunks;
                bool valid = first + row < count;
                const bf16* from = source + (valid ? first + row : 0) * stride + chunk * 8;
                copy_async_16(tile + tile_offset<width>(row, chunk), from, valid);
            }
        }
    }
}

// c = A B^T over `width` for 16 * blocks rows of A from a_row on and `rows` rows of B, both as tiles; columns
// 8 i .. 8 i + 7 of row block b in c[b][i]. Each fragment of B serves all row blocks.
template <int width, int rows, int blocks>
__device__ __forceinline__ void multiply_rows(
    float (&c)[blocks][rows / 8][4], unsigned a_tile, int a_row, unsigned b_tile, LaneOffset offset)
{
#pragma unroll
    for (int b = 0; b < blocks; b++)
    {
#pragma unroll
        for (int i = 0; i < rows / 8; i++)
        {
            c[b][i][0] = c[b][i][1] = c[b][i][2] = c[b][i][3] = 0.0f;
        }
    }

#pragma unroll
    for (int d = 0; d < width; d += 16)
    {
        unsigned a[blocks][4];
#pragma unroll
        for (int b = 0; b < blocks; b++)
        {
            load_matrix_x4(a[b], block_address<width>(a_tile, offset, a_row + 16 * b, d));
        }

#pragma unroll
        for (int i = 0; i < rows; i += 16)
        {
            unsigned r[4];
            load_matrix_x4(r, block_address<width>(b_tile, offset, i, d));
#pragma unroll
            for (int b = 0; b < blocks; b++)
            {
                mma_bf16(c[b][i / 8], a[b], r[0], r[2]);
                mma_bf16(c[b][i / 8 + 1], a[b], r[1], r[3]);
            }
        }
    }
}

// acc += P B for P [16 * blocks x rows] in accumulator layout, rounded to bf16, and columns column ..
// column + columns - 1 of a tile B. The accumulator layout of P is its A layout, two column blocks to a step of 16.
template <int width, int rows, int columns, int blocks>
__device__ __forceinline__ void multiply_accumulate(
    float (&acc)[blocks][columns / 8][4], const float (&p)[blocks][rows / 8][4], unsigned b_tile, int column,
    LaneOffset offset)
{
#pragma unroll
    for (int i = 0; i < rows; i += 16)
    {
        unsigned a[blocks][4];
#pragma unroll
        for (int b = 0; b < blocks; b++)
        {
            a[b][0] = pack_bf16(p[b][i / 8][0], p[b][i / 8][1]);
            a[b][1] = pack_bf16(p[b][i / 8][2], p[b][i / 8][3]);
            a[b][2] = pack_bf16(p[b][i / 8 + 1][0], p[b][i / 8 + 1][1]);
            a[b][3] = pack_bf16(p[b][i / 8 + 1][2], p[b][i / 8 + 1][3]);
        }

#pragma unroll
        for (int d = 0; d < columns; d += 16)
        {
            unsigned r[4];
            load_matrix_x4_transposed(r, block_address<width>(b_tile, offset, i, column + d));
#pragma unroll
            for (int b = 0; b < blocks; b++)
            {
                mma_bf16(acc[b][d / 8], a[b], r[0], r[1]);
                mma_bf16(acc[b][d / 8 + 1], a[b], r[2], r[3]);
            }
        }
    }
}

// Writes one warp's accumulators, [16 x width] times `factor` by rows, as bf16: through 16 rows of shared memory that
// only this warp uses, so that global memory sees whole 16-byte chunks. Rows at or past `count` are not written.
// factor[0] is for row g, factor[1] for row g + 8. columns of the accumulators start at column `column` of the
// output.
template <int width, int columns>
__device__ __forceinline__ void store_rows(
    unsigned char* rows16, const float (&c)[columns / 8][4], float factor0, float factor1, int column,
    bf16* destination, long long stride, int first, int count, int lane)
{
    int g = lane >> 2;
    int t = lane & 3;
    // Other lanes may still be reading these rows as operands.
    __syncwarp();
#pragma unroll
    for (int n = 0; n < columns / 8; n++)
    {
        *(unsigned*)(rows16 + tile_offset<width>(g, n) + t * 4) = pack_bf16(c[n][0] * factor0, c[n][1] * factor0);
        *(unsigned*)(rows16 + tile_offset<width>(g + 8, n) + t * 4) = pack_bf16(c[n][2] * factor1, c[n][3] * factor1);
    }

    // A lane reads chunks that other lanes wrote.
    __syncwarp();
    constexpr int chunks = columns / 8;
#pragma unroll
    for (int index = lane; index < 16 * chunks; index += 32)
    {
        int row = index / chunks;
        int chunk = index % chunks;
        if (first + row < count)
        {
            *(uint4*)(destination + (first + row) * stride + column + chunk * 8) =
                *(const uint4*)(rows16 + tile_offset<width>(row, chunk));
        }
    }
}
