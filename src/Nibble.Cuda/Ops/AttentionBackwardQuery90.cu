// dQ and delta with warpgroup products, for heads of 128 on sm_90a: what it computes, its parameters and its grid are
// those of attention_backward_query_64 in AttentionBackwardQuery.cu.
// check-arch: sm_90a
#include "AttentionBackward.cuh"
#include "Wgmma.cuh"

extern __shared__ __align__(1024) unsigned char shared_memory[];

// Shared memory: Q and dO [64 x 128]; two stages of K and V [64 x 128].
extern "C" __global__ void __launch_bounds__(128) attention_backward_query_group(
    const bf16* d_o, long long d_o_stride, const bf16* q, long long q_stride, const bf16* k, long long k_stride,
    const bf16* v, long long v_stride, const bf16* o, long long o_stride, const float* lse, long long lse_stride,
    const int* cu, float* delta, long long delta_stride, bf16* dq, long long dq_stride, int group, float scale,
    float scale_log2, int window)
{
    constexpr int width = 128;
    constexpr int threads = 128;
    constexpr int queries = 64;
    constexpr int keys = 64;
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
    int warp_row = (threadIdx.x >> 5) * 16;
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

    load_panels_async<threads>(q_tile, q, q_stride, tile_first, n);
    load_panels_async<threads>(d_o_tile, d_o, d_o_stride, tile_first, n);
    copy_async_commit();
    load_panels_async<threads>(stages, k, k_stride, first_tile * keys, n);
    load_panels_async<threads>(stages + tile_bytes, v, v_stride, first_tile * keys, n);
    copy_async_commit();

    // Q and dO have landed for every thread; the first K and V may still be under way.
    copy_async_wait<1>();
    publish_shared();
    __syncthreads();

    // Lanes 2 r and 2 r + 1 share row r of the warp's 16, one taking the even chunks and one the odd.
    const unsigned char* d_o_memory = shared_memory + queries * width * 2;
    float row_delta = 0.0f;
    int delta_row = warp_first + (lane >> 1);
    if (delta_row < n)
    {
        const bf16* o_row = o + delta_row * o_stride;
#pragma unroll 4
        for (int chunk = lane & 1; chunk < width / 8; chunk += 2)
        {
            unsigned at = (unsigned)(chunk / 8) * half_tile_bytes
                + tile_offset<64>(warp_row + (lane >> 1), chunk % 8);
            row_delta += dot_chunks(*(const uint4*)(o_row + chunk * 8), *(const uint4*)(d_o_memory + at));
        }
    }

    row_delta += __shfl_xor_sync(0xffffffffu, row_delta, 1);
    if ((lane & 1) == 0 && delta_row < n)
    {
        delta[delta_row] = row_delta;
    }

    // Index 0 is row g, index 1 row g + 8. Rows at or past n hold zeros everywhere, so p is 1 and ds 0.
    float deltas[2];
    float lse_log2[2];
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        deltas[half] = __shfl_sync(0xffffffffu, row_delta, 2 * (g + half * 8));
        int row = warp_first + g + half * 8;
        lse_log2[half] = row < n ? lse[row] * 1.44269504088896f : 0.0f;
    }

    float acc[width / 8][4];
#pragma unroll
    for (int i = 0; i < width / 8; i++)
    {
        acc[i][0] = acc[i][1] = acc[i][2] = acc[i][3] = 0.0f;
    }

    for (int tile = first_tile; tile < end_tile; tile++)
    {
        int tile_first_key = tile * keys;
        unsigned k_tile = stages + ((tile - first_tile) & 1) * (2 * tile_bytes);
        // This tile has landed for every thread, and no warp reads the other stage any more: it may be refilled.
        copy_async_wait<0>();
        publish_shared();
        __syncthreads();
        if (tile + 1 < end_tile)
        {
            unsigned next = stages + ((tile + 1 - first_tile) & 1) * (2 * tile_bytes);
            load_panels_async<threads>(next, k, k_stride, tile_first_key + keys, n);
            load_panels_async<threads>(next + tile_bytes, v, v_stride, tile_first_key + keys, n);
            copy_async_commit();
        }

        // S = Q K^T, dP = dO V^T; the second runs while p is made of the first.
        float s[keys / 8][4];
        float dp[keys / 8][4];
        group_fence();
        group_multiply_rows(s, q_tile, k_tile);
        group_commit();
        group_multiply_rows(dp, d_o_tile, k_tile + tile_bytes);
        group_commit();
        group_wait<1>();
        group_results(s);
#pragma unroll
        for (int i = 0; i < keys / 8; i++)
        {
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                s[i][e] = exp2_approximate(s[i][e] * scale_log2 - lse_log2[e >> 1]);
            }
        }

        group_wait<0>();
        group_results(dp);
#pragma unroll
        for (int i = 0; i < keys / 8; i++)
        {
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                s[i][e] *= dp[i][e] - deltas[e >> 1];
            }
        }

        // Keys at or past n lie beyond the diagonal of every row before n.
        Sight sight{warp_first, tile_first_key, window};
        if (!sight.whole(16, keys))
        {
            // Not multiplied away: it may be infinite.
            sight.hide(s, 0.0f, lane);
        }

        // dQ += dS K
        unsigned ds[keys / 16][4];
        pack_operand(ds, s);
        group_fence();
        group_multiply_columns(acc, ds, k_tile);
        group_commit();
        group_wait<0>();
        group_results(acc);
    }

    // Q gives way to the results: no product of any warp reads it any more.
    __syncthreads();
    store_rows<width, width>(
        shared_memory + warp_row * width * 2, acc, scale, scale, 0, dq, dq_stride, warp_first, n, lane);
}
