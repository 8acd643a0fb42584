// dQ and delta; see AttentionBackward.cuh.
// check: HEAD_DIM=32
// check: HEAD_DIM=64
// check: HEAD_DIM=96
// check: HEAD_DIM=128
// check: HEAD_DIM=160
// check: HEAD_DIM=256
#include "AttentionBackward.cuh"

extern __shared__ __align__(128) unsigned char shared_memory[];

// Shared memory: Q and dO [queries x width]; two stages of K and V [keys x width].
template <int width, int blocks, int keys>
__device__ __forceinline__ void attention_backward_query(
    const bf16* d_o, long long d_o_stride, const bf16* q, long long q_stride, const bf16* k, long long k_stride,
    const bf16* v, long long v_stride, const bf16* o, long long o_stride, const float* lse, long long lse_stride,
    const int* cu, float* delta, long long delta_stride, bf16* dq, long long dq_stride, int group, float scale,
    float scale_log2, int window)
{
    constexpr int threads = 128;
    constexpr int queries = 64 * blocks;
    constexpr unsigned tile_bytes = keys * width * 2;

    int head = blockIdx.x;
    int start = cu[blockIdx.y];
    int n = cu[blockIdx.y + 1] - start;
    // Late tiles see the most keys; starting them first keeps the tail of the grid short.
    int tile_first = (int)(gridDim.z - 1 - blockIdx.z) * queries;
    if (tile_first >= n)
    {
        return;
    }

    int first_tile = window > 0 ? max(tile_first - window + 1, 0) / keys : 0;
    int end_tile = (min(tile_first + queries, n) + keys - 1) / keys;

    int lane = threadIdx.x & 31;
    int warp_row = (threadIdx.x >> 5) * 16 * blocks;
    int g = lane >> 2;
    int warp_first = tile_first + warp_row;

    q += start * q_stride + (long long)head * width;
    d_o += start * d_o_stride + (long long)head * width;
    o += start * o_stride + (long long)head * width;
    dq += start * dq_stride + (long long)head * width;
    k += start * k_stride + (long long)(head / group) * width;
    v += start * v_stride + (long long)(head / group) * width;
    lse += head * lse_stride + start;
    delta += head * delta_stride + start;

    unsigned q_tile = shared_address(shared_memory);
    unsigned d_o_tile = q_tile + queries * width * 2;
    unsigned stages = d_o_tile + queries * width * 2;
    LaneOffset offset = lane_offset<width>(lane);

    load_tile_async<width, queries, threads>(q_tile, q, q_stride, tile_first, n);
    load_tile_async<width, queries, threads>(d_o_tile, d_o, d_o_stride, tile_first, n);
    copy_async_commit();
    load_tile_async<width, keys, threads>(stages, k, k_stride, first_tile * keys, n);
    load_tile_async<width, keys, threads>(stages + tile_bytes, v, v_stride, first_tile * keys, n);
    copy_async_commit();

    // Q and dO have landed for every thread; the first K and V may still be under way.
    copy_async_wait<1>();
    __syncthreads();

    // Index 0 is row g of a block, index 1 row g + 8. Rows at or past n hold zeros everywhere, so p is 1 and ds 0.
    float deltas[blocks][2];
    float lse_log2[blocks][2];
    float acc[blocks][width / 8][4];
#pragma unroll
    for (int b = 0; b < blocks; b++)
    {
        // delta: lanes 2 r and 2 r + 1 share row r of the block, one taking the even chunks and one the odd.
        float row_delta = 0.0f;
        int block_row = 16 * b + (lane >> 1);
        int delta_row = warp_first + block_row;
        if (delta_row < n)
        {
            const bf16* o_row = o + delta_row * o_stride;
            const unsigned char* d_o_memory = shared_memory + queries * width * 2;
#pragma unroll 4
            for (int chunk = lane & 1; chunk < width / 8; chunk += 2)
            {
                uint4 x = *(const uint4*)(o_row + chunk * 8);
                uint4 y = *(const uint4*)(d_o_memory + tile_offset<width>(warp_row + block_row, chunk));
                row_delta += dot_chunks(x, y);
            }
        }

        row_delta += __shfl_xor_sync(0xffffffffu, row_delta, 1);
        if ((lane & 1) == 0 && delta_row < n)
        {
            delta[delta_row] = row_delta;
        }

#pragma unroll
        for (int half = 0; half < 2; half++)
        {
            deltas[b][half] = __shfl_sync(0xffffffffu, row_delta, 2 * (g + half * 8));
            int row = warp_first + 16 * b + g + half * 8;
            lse_log2[b][half] = row < n ? lse[row] * 1.44269504088896f : 0.0f;
        }

#pragma unroll
        for (int i = 0; i < width / 8; i++)
        {
            acc[b][i][0] = acc[b][i][1] = acc[b][i][2] = acc[b][i][3] = 0.0f;
        }
    }

    for (int tile = first_tile; tile < end_tile; tile++)
    {
        int tile_first_key = tile * keys;
        unsigned k_tile = stages + ((tile - first_tile) & 1) * (2 * tile_bytes);
        // This tile has landed for every thread, and no warp reads the other stage any more: it may be refilled.
        copy_async_wait<0>();
        __syncthreads();
        if (tile + 1 < end_tile)
        {
            unsigned next = stages + ((tile + 1 - first_tile) & 1) * (2 * tile_bytes);
            load_tile_async<width, keys, threads>(next, k, k_stride, tile_first_key + keys, n);
            load_tile_async<width, keys, threads>(next + tile_bytes, v, v_stride, tile_first_key + keys, n);
            copy_async_commit();
        }

        // The same for all lanes of a warp: none of its rows sees any key of this tile.
        Sight sight{warp_first, tile_first_key, window};
        if (warp_first >= n || !sight.any(16 * blocks, keys))
        {
            continue;
        }

        float s[blocks][keys / 8][4];
        float dp[blocks][keys / 8][4];
        multiply_rows<width, keys, blocks>(s, q_tile, warp_row, k_tile, offset);
        multiply_rows<width, keys, blocks>(dp, d_o_tile, warp_row, k_tile + tile_bytes, offset);

        // Keys at or past n lie beyond the diagonal of every row before n.
        bool whole = sight.whole(16 * blocks, keys);
#pragma unroll
        for (int b = 0; b < blocks; b++)
        {
#pragma unroll
            for (int i = 0; i < keys / 8; i++)
            {
#pragma unroll
                for (int e = 0; e < 4; e++)
                {
                    float p = exp2_approximate(s[b][i][e] * scale_log2 - lse_log2[b][e >> 1]);
                    s[b][i][e] = p * (dp[b][i][e] - deltas[b][e >> 1]);
                }
            }

            if (!whole)
            {
                // Not multiplied away: it may be infinite.
                Sight{warp_first + 16 * b, tile_first_key, window}.hide(s[b], 0.0f, lane);
            }
        }

        // dQ += dS K
        multiply_accumulate<width, keys, width, blocks>(acc, s, k_tile, 0, offset);
    }

#pragma unroll
    for (int b = 0; b < blocks; b++)
    {
        store_rows<width, width>(
            shared_memory + (warp_row + 16 * b) * width * 2, acc[b], scale, scale, 0, dq, dq_stride,
            warp_first + 16 * b, n, lane);
    }
}

// q, o, d_o [T, H x D], k, v [T, Hkv x D] with row strides in elements, lse F32 [H, T], cu I32 [samples + 1].
// Writes dq [T, H x D] and delta F32 [H, T], delta = rowsum(dO * O). group = H / Hkv; scale_log2 = scale * log2(e).
// Grid (H, samples, tiles of 64 queries in the longest sample), 128 threads.
extern "C" __global__ void __launch_bounds__(128) attention_backward_query_64(
    const bf16* d_o, long long d_o_stride, const bf16* q, long long q_stride, const bf16* k, long long k_stride,
    const bf16* v, long long v_stride, const bf16* o, long long o_stride, const float* lse, long long lse_stride,
    const int* cu, float* delta, long long delta_stride, bf16* dq, long long dq_stride, int group, float scale,
    float scale_log2, int window)
{
    attention_backward_query<HEAD_DIM, 1, WALK_TILE>(
        d_o, d_o_stride, q, q_stride, k, k_stride, v, v_stride, o, o_stride, lse, lse_stride, cu, delta, delta_stride,
        dq, dq_stride, group, scale, scale_log2, window);
}

#if HEAD_DIM <= 128
// The same with tiles of 128 queries: each key and value fragment serves two row blocks.
extern "C" __global__ void __launch_bounds__(128) attention_backward_query_128(
    const bf16* d_o, long long d_o_stride, const bf16* q, long long q_stride, const bf16* k, long long k_stride,
    const bf16* v, long long v_stride, const bf16* o, long long o_stride, const float* lse, long long lse_stride,
    const int* cu, float* delta, long long delta_stride, bf16* dq, long long dq_stride, int group, float scale,
    float scale_log2, int window)
{
    attention_backward_query<HEAD_DIM, 2, WALK_TILE>(
        d_o, d_o_stride, q, q_stride, k, k_stride, v, v_stride, o, o_stride, lse, lse_stride, cu, delta, delta_stride,
        dq, dq_stride, group, scale, scale_log2, window);
}
#endif
