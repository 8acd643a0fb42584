// Products with few columns and long sums, what a LoRA factor makes of its input: c [rows, R] (+)= alpha a op(b) with
// R up to 8 blocks. a is read once, 16 bytes at a time, straight into the operands of the tensor cores: in every 32
// terms a lane holds the eight that stand together in memory where the instruction would have them apart, and b is
// handed out in the same order. bf16, sums in F32, sm_80 and later.
#pragma once
#include "Mma.cuh"
#include "Ticket.cuh"

// Rows of c that a block of THIN_WARPS warps owns.
constexpr int THIN_ROWS = 16;
constexpr int THIN_WARPS = 8;

// Terms that a warp adds at a time, 128 bytes of a row of a, and how many such units are under way.
constexpr int THIN_UNIT = 64;
constexpr int THIN_STAGES = 2;

// Bytes from row to row of a thin operand [.., 8 blocks] in shared memory: an odd number of 16-byte chunks, so that
// eight rows lie in different banks.
template <int blocks> constexpr int THIN_PITCH = (blocks | 1) * 16;

// Where term k of a unit of b stands: load_matrix_x4_transposed takes 32 rows in the order of its lanes and hands lane
// 4 g + t of them the terms 8 t .. 8 t + 7, as pairs.
__device__ __forceinline__ int thin_slot(int k)
{
    return (k & 32) | ((k >> 1) & 3) << 3 | ((k >> 3) & 3) << 1 | (k & 1);
}

// Starts copying a unit of b, terms first .. first + 63, to this warp's shared memory; what lies outside is zero.
template <int blocks, bool transpose_b>
__device__ __forceinline__ void load_thin_unit(
    unsigned char* stage, const bf16* b, i64 b_stride, int b_wide, int first, int depth, int cols, int lane)
{
    constexpr int columns = 8 * blocks, pitch = THIN_PITCH<blocks>;
    unsigned to = shared_address(stage);
    if constexpr (transpose_b)
    {
#pragma unroll
        for (int base = 0; base < columns * 8; base += WARP)
        {
            int col = (base + lane) / 8, chunk = lane % 8, k = first + chunk * 8;
            bool valid = col < cols && k < depth;
            // Neighbouring columns change halves: eight lanes read four chunks of two columns at a time.
            copy_async_16(
                to + col * 128 + (chunk ^ (col & 1) << 2) * 16, valid ? b + col * b_stride + k : b, valid);
        }
    }
    else if (b_wide)
    {
#pragma unroll
        for (int base = 0; base < THIN_UNIT * blocks; base += WARP)
        {
            int k = (base + lane) / blocks, chunk = (base + lane) % blocks;
            bool valid = first + k < depth && chunk * 8 < cols;
            copy_async_16(to + thin_slot(k) * pitch + chunk * 16,
                valid ? b + (first + k) * b_stride + chunk * 8 : b, valid);
        }
    }
    else
    {
        for (int index = lane; index < THIN_UNIT * columns; index += WARP)
        {
            int k = index / columns, col = index % columns;
            u16 bits = first + k < depth && col < cols ? b[(first + k) * b_stride + col].bits : (u16)0;
            *(u16*)(stage + thin_slot(k) * pitch + col * 2) = bits;
        }
    }
}

// Rows 16 owner .. of c and, of the sum's units of 64 terms, those that fall to part `part` of `splits`: warp w takes
// unit part THIN_WARPS + w and every THIN_WARPS splits-th from there. b_wide: rows of b as stored are whole chunks of
// 16 bytes, which a's always are; with `transpose_b`, b stored as [R, depth], they must be. parts and tickets are not
// touched with one part.
template <int blocks, bool transpose_b>
__device__ __forceinline__ void thin_rows(
    unsigned char* shared, const bf16* a, i64 a_stride, const bf16* b, i64 b_stride, int b_wide, bf16* c, i64 c_stride,
    int rows, int cols, int depth, float alpha, int accumulate, int owner, int part, int splits, float* parts,
    u32* tickets)
{
    constexpr int columns = 8 * blocks, pitch = THIN_PITCH<blocks>;
    constexpr int stage_bytes = transpose_b ? columns * THIN_UNIT * 2 : THIN_UNIT * pitch;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    int row0 = owner * THIN_ROWS;
    unsigned char* stages = shared + warp * (THIN_STAGES * stage_bytes);
    int step = THIN_WARPS * splits * THIN_UNIT;
    uint4 left[THIN_STAGES][2][2];
    float sum[blocks][4] = {};
    auto load = [&](uint4 (&to)[2][2], int s, int first)
    {
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            int k = first + 32 * half + 8 * t;
#pragma unroll
            for (int h = 0; h < 2; h++)
            {
                // Rows past the last repeat it, and are not written.
                int row = min(row0 + 8 * h + g, rows - 1);
                to[half][h] = k < depth ? *(const uint4*)(a + row * a_stride + k) : make_uint4(0, 0, 0, 0);
            }
        }

        if (first < depth)
        {
            load_thin_unit<blocks, transpose_b>(
                stages + s * stage_bytes, b, b_stride, b_wide, first, depth, cols, lane);
        }

        copy_async_commit();
    };
    auto multiply = [&](const uint4 (&from)[2][2], int s)
    {
        unsigned stage = shared_address(stages + s * stage_bytes);
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
#pragma unroll
            for (int n = 0; n < blocks; n++)
            {
                unsigned r[4];
                if constexpr (transpose_b)
                {
                    // Lane 4 g + t takes terms 8 t .. of column g.
                    unsigned at = stage + (8 * n + g) * 128 + ((4 * half + t) ^ (g & 1) << 2) * 16;
                    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
                }
                else
                    load_matrix_x4_transposed(r, stage + (32 * half + lane) * pitch + n * 16);
                uint4 p = from[half][0], q = from[half][1];
                const unsigned low[4] = {p.x, q.x, p.y, q.y}, high[4] = {p.z, q.z, p.w, q.w};
                mma_bf16(sum[n], low, r[0], r[1]);
                mma_bf16(sum[n], high, r[2], r[3]);
            }
        }
    };

    int first = (part * THIN_WARPS + warp) * THIN_UNIT;
#pragma unroll
    for (int s = 0; s < THIN_STAGES; s++) load(left[s], s, first + s * step);
#pragma unroll 1
    for (; first < depth; first += THIN_STAGES * step)
    {
#pragma unroll
        for (int s = 0; s < THIN_STAGES; s++)
        {
            copy_async_wait<THIN_STAGES - 1>();
            // What other lanes of the warp copied is in place.
            __syncwarp();
            if (first + s * step < depth) multiply(left[s], s);
            // The warp has read the stage before it is filled again.
            __syncwarp();
            load(left[s], s, first + (THIN_STAGES + s) * step);
        }
    }

    // The warps' sums take the place of the stages.
    copy_async_wait<0>();
    __syncthreads();
    float* sums = (float*)shared;
#pragma unroll
    for (int n = 0; n < blocks; n++)
    {
        float* at = sums + (warp * THIN_ROWS + g) * columns + 8 * n + 2 * t;
        *(float2*)at = make_float2(sum[n][0], sum[n][1]);
        *(float2*)(at + 8 * columns) = make_float2(sum[n][2], sum[n][3]);
    }

    // All warps' sums are there before any are added.
    __syncthreads();
    constexpr int owned = THIN_ROWS * columns, threads = THIN_WARPS * WARP;
    auto add_warps = [&](int index)
    {
        float total = 0.0f;
#pragma unroll
        for (int w = 0; w < THIN_WARPS; w++) total += sums[w * owned + index];
        return total;
    };
    auto finish = [&](int index, float total)
    {
        int row = row0 + index / columns, col = index % columns;
        if (row >= rows || col >= cols) return;
        bf16* at = c + row * c_stride + col;
        float value = alpha * total;
        if (accumulate) value += to_float(*at);
        *at = from_float<bf16>(value);
    };

    if (splits == 1)
    {
        for (int index = threadIdx.x; index < owned; index += threads) finish(index, add_warps(index));
        return;
    }

    float* mine = parts + (i64)owner * splits * owned;
    for (int index = threadIdx.x; index < owned; index += threads)
        mine[part * owned + index] = add_warps(index);
    if (!draws_last_ticket(tickets + owner, splits)) return;
#pragma unroll 2
    for (int index = threadIdx.x; index < owned; index += threads)
        finish(index, add_parts(mine + index, owned, splits));
}
