// dK and dV with warpgroup products, for heads of 128 on sm_90a: what it computes, its parameters and its grid are
// those of attention_backward_key in AttentionBackwardKey.cu.
// check-arch: sm_90a
#include "AttentionTiles.cuh"
#include "Wgmma.cuh"

extern __shared__ __align__(1024) unsigned char shared_memory[];

// Shared memory: K and V [64 x 128]; two stages of Q and dO [64 x 128]; two stages of lse and delta [64] F32.
extern "C" __global__ void __launch_bounds__(128) attention_backward_key_128(
    const bf16* d_o, long long d_o_stride, const bf16* q, long long q_stride, const bf16* k, long long k_stride,
    const bf16* v, long long v_stride, const float* lse, long long lse_stride, const int* cu, const float* delta,
    long long delta_stride, bf16* dk, long long dk_stride, bf16* dv, long long dv_stride, float* parts, int tokens,
    int kv_heads, int group, int splits, float scale, float scale_log2, int window)
{
    constexpr int width = 128;
    constexpr int threads = 128;
    constexpr int keys = 64;
    constexpr int queries = 64;
    constexpr unsigned tile_bytes = queries * width * 2;

    int start = cu[blockIdx.y];
    int n = cu[blockIdx.y + 1] - start;
    // Early tiles are seen by the most queries, and start first.
    int tile_first = (int)blockIdx.z * keys;
    if (tile_first >= n)
    {
        return;
    }

    int split = (int)blockIdx.x % splits;
    int kv_head = (int)blockIdx.x / splits;
    int first_head = kv_head * group + split * (group / splits) + min(split, group % splits);
    int heads = group / splits + (split < group % splits ? 1 : 0);

    // Key j is seen by queries i with j <= i < j + window; the tile is a multiple of `queries` wide, so query
    // tiles start at its start.
    int query_end = window > 0 ? (int)min((long long)tile_first + keys - 1 + window, (long long)n) : n;
    int query_tiles = (query_end - tile_first + queries - 1) / queries;
    int steps = heads * query_tiles;

    int lane = threadIdx.x & 31;
    int warp_row = (threadIdx.x >> 5) * 16;
    int g = lane >> 2;
    int t = lane & 3;
    int warp_first = tile_first + warp_row;
    int warp_last = warp_first + 15;

    q += start * q_stride;
    d_o += start * d_o_stride;
    k += start * k_stride + (long long)kv_head * width;
    v += start * v_stride + (long long)kv_head * width;
    lse += start;
    delta += start;

    unsigned k_tile = shared_address(shared_memory);
    unsigned v_tile = k_tile + keys * width * 2;
    unsigned stages = v_tile + keys * width * 2;
    unsigned vectors = stages + 4 * tile_bytes;
    const float* vector_memory = (const float*)(shared_memory + 2 * keys * width * 2 + 4 * tile_bytes);

    // Starts the copies of one step into one stage.
    auto load_step = [&](int stage, int head, int first_query)
    {
        unsigned tile = stages + stage * (2 * tile_bytes);
        load_panels_async<threads>(tile, q + (long long)head * width, q_stride, first_query, n);
        load_panels_async<threads>(
            tile + tile_bytes, d_o + (long long)head * width, d_o_stride, first_query, n);
        if ((int)threadIdx.x < 2 * queries)
        {
            // Threads 0 .. queries - 1 fetch lse, the next ones delta.
            int row = (int)threadIdx.x % queries;
            bool valid = first_query + row < n;
            const float* from = (int)threadIdx.x < queries ? lse + head * lse_stride : delta + head * delta_stride;
            unsigned to = vectors + (stage * 2 * queries + (int)threadIdx.x) * 4;
            copy_async_4(to, from + (valid ? first_query + row : 0), valid);
        }
    };

    load_panels_async<threads>(k_tile, k, k_stride, tile_first, n);
    load_panels_async<threads>(v_tile, v, v_stride, tile_first, n);
    load_step(0, first_head, tile_first);
    copy_async_commit();

    float dk_acc[width / 8][4];
    float dv_acc[width / 8][4];
#pragma unroll
    for (int i = 0; i < width / 8; i++)
    {
        dk_acc[i][0] = dk_acc[i][1] = dk_acc[i][2] = dk_acc[i][3] = 0.0f;
        dv_acc[i][0] = dv_acc[i][1] = dv_acc[i][2] = dv_acc[i][3] = 0.0f;
    }

    int next_head = first_head;
    int next_query = tile_first;
    for (int step = 0; step < steps; step++)
    {
        int first_query = next_query;
        next_query += queries;
        if (next_query >= query_end)
        {
            next_head++;
            next_query = tile_first;
        }

        // This step has landed for every thread, and no warp reads the other stage any more: it may be refilled.
        copy_async_wait<0>();
        publish_shared();
        __syncthreads();
        if (step + 1 < steps)
        {
            load_step((step + 1) & 1, next_head, next_query);
            copy_async_commit();
        }

        unsigned q_tile = stages + (step & 1) * (2 * tile_bytes);
        // Rows are keys and columns queries from here on: S^T = K Q^T, dP^T = V dO^T. The second product runs while p
        // is made of the first, and dV += P^T dO while dS is.
        float s[queries / 8][4];
        float dp[queries / 8][4];
        group_fence();
        group_multiply_rows(s, k_tile, q_tile);
        group_commit();
        group_multiply_rows(dp, v_tile, q_tile + tile_bytes);
        group_commit();
        group_wait<1>();
        group_results(s);

        const float* step_lse = vector_memory + (step & 1) * (2 * queries);
        const float* step_delta = step_lse + queries;
        bool whole = first_query >= warp_last && (window == 0 || first_query + queries - 1 < warp_first + window);
#pragma unroll
        for (int i = 0; i < queries / 8; i++)
        {
            float2 column_lse = *(const float2*)(step_lse + i * 8 + t * 2);
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                float lse_log2 = ((e & 1) == 0 ? column_lse.x : column_lse.y) * 1.44269504088896f;
                // Queries at or past n hold zeros, lse included: p is 1 or 0 and meets dO = 0 and dS = 0.
                s[i][e] = exp2_approximate(s[i][e] * scale_log2 - lse_log2);
            }
        }

        if (!whole)
        {
            // Not multiplied away: it may be infinite.
            Sight{warp_first, first_query, window}.hide_transposed(s, 0.0f, lane);
        }

        unsigned p[queries / 16][4];
        pack_operand(p, s);
        group_fence();
        group_multiply_columns(dv_acc, p, q_tile + tile_bytes);
        group_commit();
        group_wait<1>();
        group_results(dp);
#pragma unroll
        for (int i = 0; i < queries / 8; i++)
        {
            float2 column_delta = *(const float2*)(step_delta + i * 8 + t * 2);
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                s[i][e] *= dp[i][e] - ((e & 1) == 0 ? column_delta.x : column_delta.y);
            }
        }

        // dK += dS^T Q
        unsigned ds[queries / 16][4];
        pack_operand(ds, s);
        group_fence();
        group_multiply_columns(dk_acc, ds, q_tile);
        group_commit();
        group_wait<0>();
        group_results(dv_acc);
        group_results(dk_acc);
    }

    // K and V give way to the results: no product of any warp reads them any more.
    __syncthreads();
    if (splits == 1)
    {
        dk += start * dk_stride + (long long)kv_head * width;
        dv += start * dv_stride + (long long)kv_head * width;
        store_rows<width, width>(
            shared_memory + warp_row * width * 2, dk_acc, scale, scale, 0, dk, dk_stride, warp_first, n, lane);
        store_rows<width, width>(
            shared_memory + (keys + warp_row) * width * 2, dv_acc, 1.0f, 1.0f, 0, dv, dv_stride, warp_first, n,
            lane);
        return;
    }

    // Quads write 32 contiguous bytes of a row each.
    long long row_width = (long long)kv_heads * width;
    float* dk_part = parts + (2 * split * (long long)tokens + start) * row_width + (long long)kv_head * width;
    float* dv_part = dk_part + tokens * row_width;
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        int row = warp_first + g + half * 8;
        if (row < n)
        {
#pragma unroll
            for (int i = 0; i < width / 8; i++)
            {
                long long at = row * row_width + i * 8 + t * 2;
                const float* dk_pair = &dk_acc[i][half * 2];
                const float* dv_pair = &dv_acc[i][half * 2];
                *(float2*)(dk_part + at) = make_float2(dk_pair[0] * scale, dk_pair[1] * scale);
                *(float2*)(dv_part + at) = make_float2(dv_pair[0], dv_pair[1]);
            }
        }
    }
}
