// Sums over tokens with a thin factor, the gradients of LoRA's factors: s [W, R] = alpha wide^T thin over all tokens,
// with wide [T, W], thin [T, R], R up to 8 blocks, written or added in F32 as [W, R] or as [R, W]. bf16, sums in F32,
// sm_80 and later. A block owns some columns of wide; its warps take the tokens in turn, each with a pipeline of its
// own in shared memory, so that nothing waits for another warp before the end.
#pragma once
#include "ThinRows.cuh"
#include "Tile.cuh"

// Columns of wide that a block of TOKEN_WARPS warps owns.
constexpr int TOKEN_COLUMNS = 32;
constexpr int TOKEN_WARPS = 8;

// Tokens of a step, and steps under way.
constexpr int TOKEN_STEP = 32;
constexpr int TOKEN_STAGES = 3;

// Bytes of wide in a stage; thin's follow.
constexpr int TOKEN_WIDE_BYTES = TOKEN_STEP * TOKEN_COLUMNS * 2;

// Starts copying a step to a stage; what lies outside is zero.
template <int blocks>
__device__ __forceinline__ void load_token_step(
    unsigned char* stage, const bf16* wide, i64 wide_stride, const bf16* thin, i64 thin_stride, int thin_wide,
    int token, int tokens, int col0, int cols, int ranks, int lane)
{
    constexpr int chunks = TOKEN_COLUMNS / 8, pitch = THIN_PITCH<blocks>;
    unsigned to = shared_address(stage);
#pragma unroll
    for (int base = 0; base < TOKEN_STEP * chunks; base += WARP)
    {
        int r = (base + lane) / chunks, chunk = (base + lane) % chunks;
        bool valid = token + r < tokens && col0 + chunk * 8 < cols;
        copy_async_16(to + tile_offset<TOKEN_COLUMNS>(r, chunk),
            valid ? wide + (token + r) * wide_stride + col0 + chunk * 8 : wide, valid);
    }

    if (thin_wide)
    {
#pragma unroll
        for (int base = 0; base < TOKEN_STEP * blocks; base += WARP)
        {
            int r = (base + lane) / blocks, chunk = (base + lane) % blocks;
            bool valid = token + r < tokens && chunk * 8 < ranks;
            copy_async_16(to + TOKEN_WIDE_BYTES + r * pitch + chunk * 16,
                valid ? thin + (token + r) * thin_stride + chunk * 8 : thin, valid);
        }
    }
    else
    {
        for (int index = lane; index < TOKEN_STEP * blocks * 8; index += WARP)
        {
            int r = index / (blocks * 8), col = index % (blocks * 8);
            u16 bits = token + r < tokens && col < ranks ? thin[(token + r) * thin_stride + col].bits : (u16)0;
            *(u16*)(stage + TOKEN_WIDE_BYTES + r * pitch + col * 2) = bits;
        }
    }
}

// Columns 32 tile .. of wide and, of its steps of 32 tokens, those that fall to part `part` of `splits`: warp w takes
// step part TOKEN_WARPS + w and every TOKEN_WARPS splits-th from there. c_row and c_col: elements from one column of
// wide to the next, and from one of thin to the next, one of them 1. thin_wide: rows of thin are whole chunks of 16
// bytes, which wide's always are. The ticket and the parts are the tile's own, and not touched with one part.
template <int blocks>
__device__ __forceinline__ void add_tokens(
    unsigned char* shared, const bf16* wide, i64 wide_stride, const bf16* thin, i64 thin_stride, int thin_wide,
    float* c, i64 c_row, i64 c_col, int tokens, int cols, int ranks, float alpha, int accumulate, int tile, int part,
    int splits, float* parts, u32* ticket)
{
    constexpr int pitch = THIN_PITCH<blocks>, stage_bytes = TOKEN_WIDE_BYTES + TOKEN_STEP * pitch;
    // One word of padding: sums are read along rows or along columns.
    constexpr int sum_pitch = 8 * blocks + 1;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    int col0 = tile * TOKEN_COLUMNS;
    unsigned char* stages = shared + warp * (TOKEN_STAGES * stage_bytes);
    int steps = (tokens + TOKEN_STEP - 1) / TOKEN_STEP;
    int stride = TOKEN_WARPS * splits, first = part * TOKEN_WARPS + warp;
    auto load = [&](int i)
    {
        int at = first + i * stride;
        if (at < steps)
        {
            load_token_step<blocks>(stages + i % TOKEN_STAGES * stage_bytes, wide, wide_stride, thin, thin_stride,
                thin_wide, at * TOKEN_STEP, tokens, col0, cols, ranks, lane);
        }

        copy_async_commit();
    };

    LaneOffset offset = lane_offset<TOKEN_COLUMNS>(lane);
    float sum[TOKEN_COLUMNS / 16][blocks][4] = {};
#pragma unroll
    for (int i = 0; i < TOKEN_STAGES; i++) load(i);
#pragma unroll 1
    for (int i = 0; first + i * stride < steps; i++)
    {
        copy_async_wait<TOKEN_STAGES - 1>();
        // What other lanes of the warp copied is in place.
        __syncwarp();
        unsigned from = shared_address(stages + i % TOKEN_STAGES * stage_bytes);
        unsigned right[blocks][4];
#pragma unroll
        for (int n = 0; n < blocks; n++)
            load_matrix_x4_transposed(right[n], from + TOKEN_WIDE_BYTES + lane * pitch + n * 16);
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
#pragma unroll
            for (int m = 0; m < TOKEN_COLUMNS / 16; m++)
            {
                unsigned r[4];
                load_matrix_x4_transposed(r, block_address<TOKEN_COLUMNS>(from, offset, 16 * half, 16 * m));
                const unsigned left[4] = {r[0], r[2], r[1], r[3]};
#pragma unroll
                for (int n = 0; n < blocks; n++)
                    mma_bf16(sum[m][n], left, right[n][2 * half], right[n][2 * half + 1]);
            }
        }

        // The warp has read the stage before it is filled again.
        __syncwarp();
        load(i + TOKEN_STAGES);
    }

    // The warps' sums take the place of the stages.
    copy_async_wait<0>();
    __syncthreads();
    float* sums = (float*)shared;
#pragma unroll
    for (int m = 0; m < TOKEN_COLUMNS / 16; m++)
    {
#pragma unroll
        for (int n = 0; n < blocks; n++)
        {
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                int row = 16 * m + g + 8 * (e / 2), col = 8 * n + 2 * t + e % 2;
                sums[(warp * TOKEN_COLUMNS + row) * sum_pitch + col] = sum[m][n][e];
            }
        }
    }

    // All warps' sums are there before any are added.
    __syncthreads();
    constexpr int owned = TOKEN_COLUMNS * 8 * blocks, threads = TOKEN_WARPS * WARP;
    bool by_rows = c_col == 1;
    auto place = [&](int index, int& row, int& col)
    {
        row = by_rows ? index / (8 * blocks) : index % TOKEN_COLUMNS;
        col = by_rows ? index % (8 * blocks) : index / TOKEN_COLUMNS;
    };
    auto add_warps = [&](int index)
    {
        int row, col;
        place(index, row, col);
        float total = 0.0f;
#pragma unroll
        for (int w = 0; w < TOKEN_WARPS; w++) total += sums[(w * TOKEN_COLUMNS + row) * sum_pitch + col];
        return total;
    };
    auto finish = [&](int index, float total)
    {
        int row, col;
        place(index, row, col);
        if (col0 + row >= cols || col >= ranks) return;
        float* at = c + (col0 + row) * c_row + col * c_col;
        *at = accumulate ? *at + alpha * total : alpha * total;
    };

    if (splits == 1)
    {
        for (int index = threadIdx.x; index < owned; index += threads) finish(index, add_warps(index));
        return;
    }

    for (int index = threadIdx.x; index < owned; index += threads)
        parts[part * owned + index] = add_warps(index);
    if (!draws_last_ticket(ticket, splits)) return;
    for (int index = threadIdx.x; index < owned; index += threads)
        finish(index, add_parts(parts + index, owned, splits));
}
