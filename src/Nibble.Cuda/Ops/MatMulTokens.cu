// Sums over tokens with a thin factor, the gradients of LoRA's factors: s [W, R] = alpha wide^T thin over all tokens,
// with wide [T, W], thin [T, R], R up to 24, written or added in F32 as [W, R] or as [R, W]. bf16, sums in F32, sm_80
// and later; the launcher is MatMulThin.cs. A block owns some columns of wide; its warps take the tokens in turn, each
// with a pipeline of its own in shared memory, so that nothing waits for another warp before the end.
// check: BLOCKS=1
// check: BLOCKS=2
// check: BLOCKS=3
#include "Ticket.cuh"
#include "Tile.cuh"

// Columns of thin by eights.
#ifndef BLOCKS
#define BLOCKS 1
#endif

extern __shared__ __align__(128) unsigned char shared_memory[];

namespace {

// Columns of wide that a block owns, and its warps.
constexpr int COLUMNS = 32;
constexpr int WARPS = 8;

// Tokens of a step, and steps under way.
constexpr int STEP = 32;
constexpr int STAGES = 3;

// Bytes from row to row of thin in shared memory: an odd number of 16-byte chunks, so that eight rows lie in different
// banks. Bytes of wide and of a whole stage.
constexpr int PITCH = (BLOCKS | 1) * 16;
constexpr int WIDE_BYTES = STEP * COLUMNS * 2;
constexpr int STAGE_BYTES = WIDE_BYTES + STEP * PITCH;

// Sums of a row: one word of padding, they are read along rows or along columns.
constexpr int SUM_PITCH = 8 * BLOCKS + 1;

// Starts copying a step to a stage; what lies outside is zero.
__device__ __forceinline__ void load_step(
    unsigned char* stage, const bf16* wide, i64 wide_stride, const bf16* thin, i64 thin_stride, int thin_wide,
    int token, int tokens, int col0, int cols, int ranks, int lane)
{
    constexpr int chunks = COLUMNS / 8;
    unsigned to = shared_address(stage);
#pragma unroll
    for (int base = 0; base < STEP * chunks; base += WARP)
    {
        int r = (base + lane) / chunks, chunk = (base + lane) % chunks;
        bool valid = token + r < tokens && col0 + chunk * 8 < cols;
        copy_async_16(to + tile_offset<COLUMNS>(r, chunk),
            valid ? wide + (token + r) * wide_stride + col0 + chunk * 8 : wide, valid);
    }

    if (thin_wide)
    {
#pragma unroll
        for (int base = 0; base < STEP * BLOCKS; base += WARP)
        {
            int r = (base + lane) / BLOCKS, chunk = (base + lane) % BLOCKS;
            bool valid = token + r < tokens && chunk * 8 < ranks;
            copy_async_16(to + WIDE_BYTES + r * PITCH + chunk * 16,
                valid ? thin + (token + r) * thin_stride + chunk * 8 : thin, valid);
        }
    }
    else
    {
        for (int index = lane; index < STEP * BLOCKS * 8; index += WARP)
        {
            int r = index / (BLOCKS * 8), col = index % (BLOCKS * 8);
            u16 bits = token + r < tokens && col < ranks ? thin[(token + r) * thin_stride + col].bits : (u16)0;
            *(u16*)(stage + WIDE_BYTES + r * PITCH + col * 2) = bits;
        }
    }
}

}  // namespace

// Block (x, y): columns COLUMNS x .. and steps y WARPS + warp, then every WARPS gridDim.y-th. c_row and c_col: elements
// from one column of wide to the next, and from one of thin to the next, one of them 1.
extern "C" __global__ __launch_bounds__(256) void token_sums(
    const bf16* wide, i64 wide_stride, const bf16* thin, i64 thin_stride, int thin_wide, float* c, i64 c_row, i64 c_col,
    int tokens, int cols, int ranks, float alpha, int accumulate, float* parts, u32* tickets)
{
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, t = lane % 4;
    int col0 = blockIdx.x * COLUMNS;
    unsigned char* stages = shared_memory + warp * (STAGES * STAGE_BYTES);
    int steps = (tokens + STEP - 1) / STEP, stride = WARPS * (int)gridDim.y, first = (int)blockIdx.y * WARPS + warp;
    auto load = [&](int i)
    {
        int at = first + i * stride;
        if (at < steps)
        {
            load_step(stages + i % STAGES * STAGE_BYTES, wide, wide_stride, thin, thin_stride, thin_wide, at * STEP,
                tokens, col0, cols, ranks, lane);
        }

        copy_async_commit();
    };

    LaneOffset offset = lane_offset<COLUMNS>(lane);
    float sum[COLUMNS / 16][BLOCKS][4] = {};
#pragma unroll
    for (int i = 0; i < STAGES; i++) load(i);
#pragma unroll 1
    for (int i = 0; first + i * stride < steps; i++)
    {
        copy_async_wait<STAGES - 1>();
        // What other lanes of the warp copied is in place.
        __syncwarp();
        unsigned tile = shared_address(stages + i % STAGES * STAGE_BYTES);
        unsigned right[BLOCKS][4];
#pragma unroll
        for (int n = 0; n < BLOCKS; n++)
            load_matrix_x4_transposed(right[n], tile + WIDE_BYTES + lane * PITCH + n * 16);
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
#pragma unroll
            for (int m = 0; m < COLUMNS / 16; m++)
            {
                unsigned r[4];
                load_matrix_x4_transposed(r, block_address<COLUMNS>(tile, offset, 16 * half, 16 * m));
                const unsigned left[4] = {r[0], r[2], r[1], r[3]};
#pragma unroll
                for (int n = 0; n < BLOCKS; n++)
                    mma_bf16(sum[m][n], left, right[n][2 * half], right[n][2 * half + 1]);
            }
        }

        // The warp has read the stage before it is filled again.
        __syncwarp();
        load(i + STAGES);
    }

    // The warps' sums take the place of the stages.
    copy_async_wait<0>();
    __syncthreads();
    float* sums = (float*)shared_memory;
#pragma unroll
    for (int m = 0; m < COLUMNS / 16; m++)
    {
#pragma unroll
        for (int n = 0; n < BLOCKS; n++)
        {
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                int row = 16 * m + g + 8 * (e / 2), col = 8 * n + 2 * t + e % 2;
                sums[(warp * COLUMNS + row) * SUM_PITCH + col] = sum[m][n][e];
            }
        }
    }

    // All warps' sums are there before any are added.
    __syncthreads();
    constexpr int OWNED = COLUMNS * 8 * BLOCKS, THREADS = WARPS * WARP;
    bool by_rows = c_col == 1;
    auto place = [&](int index, int& row, int& col)
    {
        row = by_rows ? index / (8 * BLOCKS) : index % COLUMNS;
        col = by_rows ? index % (8 * BLOCKS) : index / COLUMNS;
    };
    auto add_warps = [&](int index)
    {
        int row, col;
        place(index, row, col);
        float total = 0.0f;
#pragma unroll
        for (int w = 0; w < WARPS; w++) total += sums[(w * COLUMNS + row) * SUM_PITCH + col];
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

    if (gridDim.y == 1)
    {
        for (int index = threadIdx.x; index < OWNED; index += THREADS) finish(index, add_warps(index));
        return;
    }

    float* mine = parts + (i64)blockIdx.x * gridDim.y * OWNED;
    for (int index = threadIdx.x; index < OWNED; index += THREADS)
        mine[blockIdx.y * OWNED + index] = add_warps(index);
    if (!draws_last_ticket(tickets + blockIdx.x, gridDim.y)) return;
    for (int index = threadIdx.x; index < OWNED; index += THREADS)
        finish(index, add_parts(mine + index, OWNED, gridDim.y));
}
