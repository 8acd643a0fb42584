// Attention forward on tensor cores: bf16, head widths that are multiples of 32 up to 256, sm_80 and later. The
// launcher is Attention.cs; compiled once per head width with HEAD_DIM defined. Algorithm: T. Dao, "FlashAttention-2"
// (2023), algorithm 1.
//
// One block computes a tile of query rows of one head of one sample. Its four warps hold 16 * blocks query rows each,
// so the softmax never leaves a warp. Key tiles are visited from the last visible one backwards; masks are only
// computed on tiles that cross the diagonal or the window's edge.
// check: HEAD_DIM=32
// check: HEAD_DIM=64
// check: HEAD_DIM=96
// check: HEAD_DIM=128
// check: HEAD_DIM=160
// check: HEAD_DIM=256
#include "AttentionTiles.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

// Keys of one tile: 64, or 32 where the accumulators of wide heads leave fewer registers.
#define KEY_TILE (HEAD_DIM > 128 ? 32 : 64)
// The same beside 128 queries, which take twice the registers; ptxas needs more of them before sm_90.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define LONG_KEY_TILE (HEAD_DIM > 64 ? 32 : 64)
#else
#define LONG_KEY_TILE KEY_TILE
#endif

extern __shared__ __align__(128) unsigned char shared_memory[];

// Shared memory: Q [queries x width], K [keys x width], V [keys x width], all bf16 in the layout of Tile.cuh.
template <int width, int blocks, int keys>
__device__ __forceinline__ void attention_forward(
    const bf16* q, long long q_stride, const bf16* k, long long k_stride, const bf16* v, long long v_stride,
    const int* cu_query, const int* cu_key, bf16* o, long long o_stride, float* lse, long long lse_stride, int group,
    float scale_log2, int window)
{
    constexpr int threads = 128;
    constexpr int queries = 64 * blocks;
    const float infinity = __int_as_float(0x7f800000);

    int head = blockIdx.x;
    int sample = blockIdx.y;
    int query_start = cu_query[sample];
    int key_start = cu_key[sample];
    int n = cu_query[sample + 1] - query_start;
    int m = cu_key[sample + 1] - key_start;
    // Late tiles see the most keys; starting them first keeps the tail of the grid short.
    int tile_first_query = (int)(gridDim.z - 1 - blockIdx.z) * queries;
    if (tile_first_query >= n)
    {
        return;
    }

    // Query i sees keys j with i + shift - window < j <= i + shift.
    int shift = m - n;
    int key_end = min(tile_first_query + queries, n) + shift;
    int key_begin = window > 0 ? max(tile_first_query + shift - window + 1, 0) : 0;
    int first_tile = key_begin / keys;
    int end_tile = key_end > 0 ? (key_end + keys - 1) / keys : 0;

    int lane = threadIdx.x & 31;
    int warp = threadIdx.x >> 5;
    int g = lane >> 2;
    int warp_row = warp * 16 * blocks;
    int warp_first = tile_first_query + warp_row;

    q += query_start * q_stride + (long long)head * width;
    k += key_start * k_stride + (long long)(head / group) * width;
    v += key_start * v_stride + (long long)(head / group) * width;
    o += query_start * o_stride + (long long)head * width;
    lse += head * lse_stride + query_start;

    unsigned char* q_memory = shared_memory;
    unsigned q_tile = shared_address(shared_memory);
    unsigned k_tile = q_tile + queries * width * 2;
    unsigned v_tile = k_tile + keys * width * 2;
    LaneOffset offset = lane_offset<width>(lane);

    // Row 0 is row g of a 16-row block, row 1 is row g + 8; sums are per lane until the end.
    float acc[blocks][width / 8][4];
    float row_max[blocks][2];
    float row_sum[blocks][2];
#pragma unroll
    for (int b = 0; b < blocks; b++)
    {
        row_max[b][0] = row_max[b][1] = -infinity;
        row_sum[b][0] = row_sum[b][1] = 0.0f;
#pragma unroll
        for (int i = 0; i < width / 8; i++)
        {
            acc[b][i][0] = acc[b][i][1] = acc[b][i][2] = acc[b][i][3] = 0.0f;
        }
    }

    if (first_tile < end_tile)
    {
        load_tile_async<width, queries, threads>(q_tile, q, q_stride, tile_first_query, n);
        load_tile_async<width, keys, threads>(k_tile, k, k_stride, (end_tile - 1) * keys, m);
        copy_async_commit();
        load_tile_async<width, keys, threads>(v_tile, v, v_stride, (end_tile - 1) * keys, m);
        copy_async_commit();
    }

    for (int tile = end_tile - 1; tile >= first_tile; tile--)
    {
        int tile_first_key = tile * keys;
        if (tile == end_tile - 1)
        {
            // Q and the first K have landed, the first V may still be under way.
            copy_async_wait<1>();
            __syncthreads();
        }
        else
        {
            // K of this tile has landed for every thread, and no warp reads the previous V any more: it
            // may be replaced.
            copy_async_wait<0>();
            __syncthreads();
            load_tile_async<width, keys, threads>(v_tile, v, v_stride, tile_first_key, m);
            copy_async_commit();
        }

        Sight sight{warp_first + shift, tile_first_key, window};
        bool active = warp_first < n && sight.any(16 * blocks, keys);

        float s[blocks][keys / 8][4];
        if (active)
        {
            // S = Q K^T
            multiply_rows<width, keys, blocks>(s, q_tile, warp_row, k_tile, offset);
        }

        // V of this tile has landed for every thread, and no warp reads K any more: it may be replaced.
        copy_async_wait<0>();
        __syncthreads();
        if (tile > first_tile)
        {
            load_tile_async<width, keys, threads>(k_tile, k, k_stride, tile_first_key - keys, m);
            copy_async_commit();
        }

        if (!active)
        {
            continue;
        }

        // Rows at or past n carry zeros and are never stored; keys at or past m lie beyond the diagonal of
        // every row before n.
        bool whole = sight.whole(16 * blocks, keys);
#pragma unroll
        for (int b = 0; b < blocks; b++)
        {
            if (!whole)
            {
                Sight{sight.first_row + 16 * b, tile_first_key, window}.hide(s[b], -infinity, lane);
            }

            softmax_step(s[b], acc[b], row_max[b], row_sum[b], scale_log2);
        }

        // O += P V
        multiply_accumulate<width, keys, width, blocks>(acc, s, v_tile, 0, offset);
    }

#pragma unroll
    for (int b = 0; b < blocks; b++)
    {
        float inverse[2];
#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            int row = warp_first + b * 16 + g + half * 8;
            inverse[half] = softmax_end(row_max[b][half], row_sum[b][half], scale_log2, lse, row, n, lane);
        }

        store_rows<width, width>(
            q_memory + (warp_row + 16 * b) * width * 2, acc[b], inverse[0], inverse[1], 0, o, o_stride,
            warp_first + b * 16, n, lane);
    }
}

// q [Tq, H x width], k and v [Tk, Hkv x width] with their row strides in elements, cu_* I32 [samples + 1], o like q,
// lse [H, Tq]. group = H / Hkv; scale_log2 = scale * log2(e), above 0. Grid (H, samples, tiles of 64 queries in the
// longest sample), 128 threads.
extern "C" __global__ void __launch_bounds__(128) attention_forward_64(
    const bf16* q, long long q_stride, const bf16* k, long long k_stride, const bf16* v, long long v_stride,
    const int* cu_query, const int* cu_key, bf16* o, long long o_stride, float* lse, long long lse_stride, int group,
    float scale_log2, int window)
{
    attention_forward<HEAD_DIM, 1, KEY_TILE>(
        q, q_stride, k, k_stride, v, v_stride, cu_query, cu_key, o, o_stride, lse, lse_stride, group,
        scale_log2, window);
}

#if HEAD_DIM <= 128
// The same with tiles of 128 queries: each key and value fragment serves two row blocks, which halves the
// shared-memory traffic.
extern "C" __global__ void __launch_bounds__(128) attention_forward_128(
    const bf16* q, long long q_stride, const bf16* k, long long k_stride, const bf16* v, long long v_stride,
    const int* cu_query, const int* cu_key, bf16* o, long long o_stride, float* lse, long long lse_stride, int group,
    float scale_log2, int window)
{
    attention_forward<HEAD_DIM, 2, LONG_KEY_TILE>(
        q, q_stride, k, k_stride, v, v_stride, cu_query, cu_key, o, o_stride, lse, lse_stride, group,
        scale_log2, window);
}
#endif
