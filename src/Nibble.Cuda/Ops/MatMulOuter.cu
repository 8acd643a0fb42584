// Products with short sums and many columns, what an adapter of low rank adds to a wide output: c is read and written
// once, 16 bytes at a time. bf16, sums in F32, sm_80 and later; the launcher is MatMulOuter.cs. The letters say how a
// and b are stored: n as the product reads them, t transposed. Old value, bias and product are added in F32 and rounded
// once, which makes these kernels the ones for longer sums too where something is added.
// check: WIDTH=32
// check: WIDTH=64
// check: WIDTH=64 WALK=1
#include "Tile.cuh"

// Columns of a that are in shared memory at a time: all of them, or with WALK one piece after the other.
#ifndef WIDTH
#define WIDTH 32
#endif
#ifndef WALK
#define WALK 0
#endif

extern __shared__ __align__(128) unsigned char shared_memory[];

namespace {

constexpr int THREADS = 128;

// Rows of c that a block owns, 16 for each warp, and columns.
constexpr int ROWS = 64;
constexpr int COLUMNS = 128;

// Starts copying the [height x width] piece at (row, col) of a matrix of [rows x cols]; what lies outside is zero.
// Chunks of 16 bytes are aligned and lie inside or outside as a whole.
template <int width, int height, int threads>
__device__ __forceinline__ void load_piece_async(
    unsigned tile, const bf16* source, long long stride, int row, int rows, int col, int cols)
{
    constexpr int chunks = width / 8;
#pragma unroll
    for (int base = 0; base < height * chunks; base += threads)
    {
        int index = base + (int)threadIdx.x;
        int r = index / chunks;
        int chunk = index % chunks;
        bool valid = row + r < rows && col + chunk * 8 < cols;
        const bf16* from = valid ? source + (long long)(row + r) * stride + col + chunk * 8 : source;
        copy_async_16(tile + tile_offset<width>(r, chunk), from, valid);
    }
}

// c (+)= alpha a op(b) + bias for 64 rows and 128 columns; bias [cols], F32 or bf16, or null, with WALK only. In every
// 32 columns of b's tile they are reordered so that a lane's accumulators of four neighbouring blocks are eight
// neighbouring columns of c: column 8 q + 2 j + e becomes column 2 q + e of block j.
template <bool transpose_b>
__device__ __forceinline__ void outer(
    const bf16* a, i64 a_stride, const bf16* b, i64 b_stride, bf16* c, i64 c_stride, int rows, int cols, int depth,
    float alpha, int accumulate, const void* bias, int bias_type)
{
    unsigned a_tile = shared_address(shared_memory), b_tile = a_tile + ROWS * WIDTH * 2;
    unsigned char* b_shared = shared_memory + ROWS * WIDTH * 2;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, q = lane % 4;
    int row0 = blockIdx.y * ROWS, col0 = blockIdx.x * COLUMNS;
    i64 at[2];
    bool live[2];
    uint4 old[2][COLUMNS / 32];
#pragma unroll
    for (int h = 0; h < 2; h++)
    {
        int row = row0 + warp * 16 + g + 8 * h;
        live[h] = row < rows;
        at[h] = row * c_stride + col0 + 8 * q;
    }

    auto load_old = [&]()
    {
#pragma unroll
        for (int h = 0; h < 2; h++)
        {
#pragma unroll
            for (int p = 0; p < COLUMNS / 32; p++)
            {
                old[h][p] = make_uint4(0, 0, 0, 0);
                if (accumulate && live[h] && col0 + 32 * p + 8 * q < cols)
                    old[h][p] = *(const uint4*)(c + at[h] + 32 * p);
            }
        }
    };

    LaneOffset offset = lane_offset<WIDTH>(lane);
    LaneOffset column_offset = lane_offset<COLUMNS>(lane);
    float sum[COLUMNS / 8][4] = {};
#pragma unroll 1
    for (int first = 0; first < (WALK ? depth : WIDTH); first += WIDTH)
    {
        // No thread reads the piece before any more.
        if (WALK && first > 0) __syncthreads();
        load_piece_async<WIDTH, ROWS, THREADS>(a_tile, a, a_stride, row0, rows, first, depth);
        if constexpr (transpose_b)
        {
            constexpr int chunks = WIDTH / 8;
#pragma unroll
            for (int start = 0; start < COLUMNS * chunks; start += THREADS)
            {
                int index = start + (int)threadIdx.x;
                int col = index / chunks;
                int chunk = index % chunks;
                bool valid = col0 + col < cols && first + chunk * 8 < depth;
                int slot = (col & ~31) | ((col >> 1) & 3) << 3 | ((col >> 3) & 3) << 1 | (col & 1);
                copy_async_16(b_tile + tile_offset<WIDTH>(slot, chunk),
                    valid ? b + (i64)(col0 + col) * b_stride + first + chunk * 8 : b, valid);
            }
        }

        copy_async_commit();
        // Under way beside the operands where registers allow it.
        if (!WALK) load_old();
        if constexpr (!transpose_b)
        {
            constexpr int chunks = COLUMNS / 8;
#pragma unroll
            for (int start = 0; start < WIDTH * chunks; start += THREADS)
            {
                int index = start + (int)threadIdx.x;
                int k = index / chunks;
                int chunk = index % chunks;
                uint4 w = make_uint4(0, 0, 0, 0);
                if (first + k < depth && col0 + chunk * 8 < cols)
                    w = *(const uint4*)(b + (first + k) * b_stride + col0 + chunk * 8);
                const u32 pairs[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
                for (int j = 0; j < 4; j++)
                    *(u32*)(b_shared + tile_offset<COLUMNS>(k, (chunk & ~3) + j) + (chunk & 3) * 4) = pairs[j];
            }
        }

        copy_async_wait<0>();
        // Operands of all threads are in place.
        __syncthreads();
#pragma unroll
        for (int k = 0; k < WIDTH; k += 16)
        {
            if (first + k >= depth) continue;
            unsigned left[4];
            load_matrix_x4(left, block_address<WIDTH>(a_tile, offset, warp * 16, k));
#pragma unroll
            for (int n = 0; n < COLUMNS; n += 16)
            {
                unsigned r[4];
                if constexpr (transpose_b)
                {
                    load_matrix_x4(r, block_address<WIDTH>(b_tile, offset, n, k));
                    mma_bf16(sum[n / 8], left, r[0], r[2]);
                    mma_bf16(sum[n / 8 + 1], left, r[1], r[3]);
                }
                else
                {
                    load_matrix_x4_transposed(r, block_address<COLUMNS>(b_tile, column_offset, k, n));
                    mma_bf16(sum[n / 8], left, r[0], r[1]);
                    mma_bf16(sum[n / 8 + 1], left, r[2], r[3]);
                }
            }
        }
    }

    if (WALK) load_old();
#pragma unroll
    for (int h = 0; h < 2; h++)
    {
#pragma unroll
        for (int p = 0; p < COLUMNS / 32; p++)
        {
            if (!live[h] || col0 + 32 * p + 8 * q >= cols) continue;
            const u32 words[4] = {old[h][p].x, old[h][p].y, old[h][p].z, old[h][p].w};
            float v[8];
#pragma unroll
            for (int j = 0; j < 4; j++)
            {
                v[2 * j] = __uint_as_float(words[j] << 16) + alpha * sum[4 * p + j][2 * h];
                v[2 * j + 1] = __uint_as_float(words[j] & 0xffff0000u) + alpha * sum[4 * p + j][2 * h + 1];
            }

            if (WALK && bias)
            {
#pragma unroll
                for (int j = 0; j < 8; j++)
                {
                    int col = col0 + 32 * p + 8 * q + j;
                    v[j] += bias_type == TYPE_F32 ? ((const float*)bias)[col] : to_float(((const bf16*)bias)[col]);
                }
            }

            Run<8, bf16>::store(c + at[h] + 32 * p, v);
        }
    }
}

}  // namespace

extern "C" __global__ __launch_bounds__(128) void outer_nn(
    const bf16* a, i64 a_stride, const bf16* b, i64 b_stride, bf16* c, i64 c_stride, int rows, int cols, int depth,
    float alpha, int accumulate, const void* bias, int bias_type)
{
    outer<false>(a, a_stride, b, b_stride, c, c_stride, rows, cols, depth, alpha, accumulate, bias, bias_type);
}

extern "C" __global__ __launch_bounds__(128) void outer_nt(
    const bf16* a, i64 a_stride, const bf16* b, i64 b_stride, bf16* c, i64 c_stride, int rows, int cols, int depth,
    float alpha, int accumulate, const void* bias, int bias_type)
{
    outer<true>(a, a_stride, b, b_stride, c, c_stride, rows, cols, depth, alpha, accumulate, bias, bias_type);
}
