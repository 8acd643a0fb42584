// Attention forward with warpgroup products, for heads of 128 on sm_90a: what it computes, its parameters and its grid
// are those of attention_forward_64 in Attention.cu.
// check-arch: sm_90a
#include "AttentionTiles.cuh"
#include "Wgmma.cuh"

extern __shared__ __align__(1024) unsigned char shared_memory[];

// Shared memory: Q [64 x 128]; two stages of K [64 x 128]; V [64 x 128]. A block is one warpgroup: three of them on a
// multiprocessor keep its tensor cores busy while one takes exponentials.
extern "C" __global__ void __launch_bounds__(128, 3) attention_forward_group(
    const bf16* q, long long q_stride, const bf16* k, long long k_stride, const bf16* v, long long v_stride,
    const int* cu_query, const int* cu_key, bf16* o, long long o_stride, float* lse, long long lse_stride, int group,
    float scale_log2, int window)
{
    constexpr int width = 128;
    constexpr int threads = 128;
    constexpr int queries = 64;
    constexpr int keys = 64;
    constexpr unsigned tile_bytes = keys * width * 2;
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
    int warp_row = (threadIdx.x >> 5) * 16;
    int g = lane >> 2;
    int warp_first = tile_first_query + warp_row;

    q += query_start * q_stride + (long long)head * width;
    k += key_start * k_stride + (long long)(head / group) * width;
    v += key_start * v_stride + (long long)(head / group) * width;
    o += query_start * o_stride + (long long)head * width;
    lse += head * lse_stride + query_start;

    unsigned q_tile = shared_address(shared_memory);
    unsigned k_stages = q_tile + queries * width * 2;
    unsigned v_tile = k_stages + 2 * tile_bytes;

    // Index 0 is row g of the warp's 16, index 1 row g + 8; sums are per lane until the end.
    float acc[width / 8][4];
    float row_max[2] = {-infinity, -infinity};
    float row_sum[2] = {0.0f, 0.0f};
    unsigned query[width / 16][4];
#pragma unroll
    for (int i = 0; i < width / 8; i++)
    {
        acc[i][0] = acc[i][1] = acc[i][2] = acc[i][3] = 0.0f;
    }

    if (first_tile < end_tile)
    {
        load_panels_async<threads>(q_tile, q, q_stride, tile_first_query, n);
        copy_async_commit();
        load_panels_async<threads>(k_stages, k, k_stride, (end_tile - 1) * keys, m);
        copy_async_commit();
        copy_async_wait<1>();
        // Q has landed for every thread.
        __syncthreads();
        load_operand(query, q_tile, warp_row, lane_offset<64>(lane));
    }

    for (int tile = end_tile - 1; tile >= first_tile; tile--)
    {
        int tile_first_key = tile * keys;
        int stage = (end_tile - 1 - tile) & 1;
        // K of this tile has landed for every thread, and no warp reads V or the other K any more: they may be
        // replaced.
        copy_async_wait<0>();
        publish_shared();
        __syncthreads();
        load_panels_async<threads>(v_tile, v, v_stride, tile_first_key, m);
        copy_async_commit();
        if (tile > first_tile)
        {
            load_panels_async<threads>(k_stages + (stage ^ 1) * tile_bytes, k, k_stride, tile_first_key - keys, m);
        }

        copy_async_commit();

        // S = Q K^T
        float s[keys / 8][4];
        group_fence();
        group_multiply_rows(s, query, k_stages + stage * tile_bytes);
        group_commit();
        group_wait<0>();
        group_results(s);

        // Rows at or past n carry zeros and are never stored; keys at or past m lie beyond the diagonal of every row
        // before n.
        Sight sight{warp_first + shift, tile_first_key, window};
        if (!sight.whole(16, keys))
        {
            sight.hide(s, -infinity, lane);
        }

        softmax_step(s, acc, row_max, row_sum, scale_log2);
        unsigned p[keys / 16][4];
        pack_operand(p, s);
        // V of this tile has landed for every thread.
        copy_async_wait<1>();
        publish_shared();
        __syncthreads();

        // O += P V
        group_fence();
        group_multiply_columns(acc, p, v_tile);
        group_commit();
        group_wait<0>();
        group_results(acc);
    }

    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        inverse[half] = softmax_end(
            row_max[half], row_sum[half], scale_log2, lse, warp_first + g + half * 8, n, lane);
    }

    // Q lies in registers since before the loop's first barrier: its place takes the results.
    store_rows<width, width>(
        shared_memory + warp_row * width * 2, acc, inverse[0], inverse[1], 0, o, o_stride, warp_first, n, lane);
}
