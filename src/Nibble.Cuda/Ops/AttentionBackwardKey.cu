// dK and dV; see AttentionBackward.cuh.
// check: HEAD_DIM=32
// check: HEAD_DIM=64
// check: HEAD_DIM=96
// check: HEAD_DIM=128
// check: HEAD_DIM=160
// check: HEAD_DIM=256
#include "AttentionBackward.cuh"

// Columns of dK and dV that one block accumulates. Beyond 128 both no longer fit into registers, and two blocks share
// the columns; each recomputes the scores.
#define KEY_COLUMNS (HEAD_DIM > 128 ? HEAD_DIM / 2 : HEAD_DIM)

extern __shared__ __align__(128) unsigned char shared_memory[];

// q, d_o [T, H x D], k, v [T, Hkv x D] with row strides in elements, lse and delta F32 [H, T], cu I32 [samples + 1],
// group = H / Hkv, scale_log2 = scale * log2(e). Writes dk and dv [T, Hkv x D], or, when splits > 1, their parts in
// F32: parts [splits][2][T][Hkv x D], dk before dv, for attention_backward_sum. Block x = (key/value head * splits +
// split) * (D / KEY_COLUMNS) + column part; a split takes group / splits query heads, the first ones one more where
// it does not divide. Grid (that, samples, tiles of 64 keys in the longest sample), 128 threads. Shared memory: K and
// V [64 x D]; two stages of Q and dO [WALK_TILE x D]; two stages of lse and delta [WALK_TILE] F32.
extern "C" __global__ void __launch_bounds__(128) attention_backward_key(
    const bf16* d_o, long long d_o_stride, const bf16* q, long long q_stride, const bf16* k, long long k_stride,
    const bf16* v, long long v_stride, const float* lse, long long lse_stride, const int* cu, const float* delta,
    long long delta_stride, bf16* dk, long long dk_stride, bf16* dv, long long dv_stride, float* parts, int tokens,
    int kv_heads, int group, int splits, float scale, float scale_log2, int window)
{
    constexpr int width = HEAD_DIM;
    constexpr int columns = KEY_COLUMNS;
    constexpr int threads = 128;
    constexpr int keys = 64;
    constexpr int queries = WALK_TILE;
    constexpr unsigned tile_bytes = queries * width * 2;

    int start = cu[blockIdx.y];
    int n = cu[blockIdx.y + 1] - start;
    // Early tiles are seen by the most queries, and start first.
    int tile_first = (int)blockIdx.z * keys;
    if (tile_first >= n)
    {
        return;
    }

    int column = (int)(blockIdx.x % (width / columns)) * columns;
    int split = (int)(blockIdx.x / (width / columns)) % splits;
    int kv_head = (int)(blockIdx.x / (width / columns)) / splits;
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
    LaneOffset offset = lane_offset<width>(lane);

    // Starts the copies of one step into one stage.
    auto load_step = [&](int stage, int head, int first_query)
    {
        unsigned tile = stages + stage * (2 * tile_bytes);
        load_tile_async<width, queries, threads>(tile, q + (long long)head * width, q_stride, first_query, n);
        load_tile_async<width, queries, threads>(
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

    load_tile_async<width, keys, threads>(k_tile, k, k_stride, tile_first, n);
    load_tile_async<width, keys, threads>(v_tile, v, v_stride, tile_first, n);
    load_step(0, first_head, tile_first);
    copy_async_commit();

    float dk_acc[1][columns / 8][4];
    float dv_acc[1][columns / 8][4];
#pragma unroll
    for (int i = 0; i < columns / 8; i++)
    {
        dk_acc[0][i][0] = dk_acc[0][i][1] = dk_acc[0][i][2] = dk_acc[0][i][3] = 0.0f;
        dv_acc[0][i][0] = dv_acc[0][i][1] = dv_acc[0][i][2] = dv_acc[0][i][3] = 0.0f;
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
        __syncthreads();
        if (step + 1 < steps)
        {
            load_step((step + 1) & 1, next_head, next_query);
            copy_async_commit();
        }

        unsigned q_tile = stages + (step & 1) * (2 * tile_bytes);
        // The same for all lanes of a warp: whether any of its keys is seen by any query of this tile.
        bool active = warp_first < n && first_query + queries - 1 >= warp_first
            && (window == 0 || first_query < warp_last + window);
        if (active)
        {
            // Rows are keys and columns queries from here on: S^T = K Q^T, dP^T = V dO^T.
            float s[1][queries / 8][4];
            multiply_rows<width, queries, 1>(s, k_tile, warp_row, q_tile, offset);

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
                    s[0][i][e] = exp2_approximate(s[0][i][e] * scale_log2 - lse_log2);
                }
            }

            if (!whole)
            {
                // Not multiplied away: it may be infinite.
                Sight{warp_first, first_query, window}.hide_transposed(s[0], 0.0f, lane);
            }

            // dV += P^T dO
            multiply_accumulate<width, queries, columns, 1>(dv_acc, s, q_tile + tile_bytes, column, offset);

            float dp[1][queries / 8][4];
            multiply_rows<width, queries, 1>(dp, v_tile, warp_row, q_tile + tile_bytes, offset);
#pragma unroll
            for (int i = 0; i < queries / 8; i++)
            {
                float2 column_delta = *(const float2*)(step_delta + i * 8 + t * 2);
#pragma unroll
                for (int e = 0; e < 4; e++)
                {
                    s[0][i][e] *= dp[0][i][e] - ((e & 1) == 0 ? column_delta.x : column_delta.y);
                }
            }

            // dK += dS^T Q
            multiply_accumulate<width, queries, columns, 1>(dk_acc, s, q_tile, column, offset);
        }
    }

    if (splits == 1)
    {
        dk += start * dk_stride + (long long)kv_head * width;
        dv += start * dv_stride + (long long)kv_head * width;
        store_rows<width, columns>(
            shared_memory + warp_row * width * 2, dk_acc[0], scale, scale, column, dk, dk_stride, warp_first, n, lane);
        store_rows<width, columns>(
            shared_memory + (keys + warp_row) * width * 2, dv_acc[0], 1.0f, 1.0f, column, dv, dv_stride, warp_first, n,
            lane);
        return;
    }

    // Quads write 32 contiguous bytes of a row each.
    long long row_width = (long long)kv_heads * width;
    float* dk_part = parts + (2 * split * (long long)tokens + start) * row_width + (long long)kv_head * width + column;
    float* dv_part = dk_part + tokens * row_width;
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        int row = warp_first + g + half * 8;
        if (row < n)
        {
#pragma unroll
            for (int i = 0; i < columns / 8; i++)
            {
                long long at = row * row_width + i * 8 + t * 2;
                const float* dk_pair = &dk_acc[0][i][half * 2];
                const float* dv_pair = &dv_acc[0][i][half * 2];
                *(float2*)(dk_part + at) = make_float2(dk_pair[0] * scale, dk_pair[1] * scale);
                *(float2*)(dv_part + at) = make_float2(dv_pair[0], dv_pair[1]);
            }
        }
    }
}

// dk, dv [T, Hkv x D] = the sums of their parts [splits][2][T][Hkv x D] F32 in order of splits; rows outside every
// sample are left as they are. Grid (T, 2): y 0 sums dk, 1 dv; 128 threads, four columns each at a time.
extern "C" __global__ void __launch_bounds__(128) attention_backward_sum(
    const float* parts, int splits, int tokens, int row_width, const int* cu, int samples, bf16* dk,
    long long dk_stride, bf16* dv, long long dv_stride)
{
    int row = blockIdx.x;
    if (row < cu[0] || row >= cu[samples])
    {
        return;
    }

    long long plane = (long long)tokens * row_width;
    const float* from = parts + blockIdx.y * plane + (long long)row * row_width;
    bf16* to = blockIdx.y == 0 ? dk + row * dk_stride : dv + row * dv_stride;
    for (int column = threadIdx.x * 4; column < row_width; column += 128 * 4)
    {
        float4 sum = *(const float4*)(from + column);
        for (int split = 1; split < splits; split++)
        {
            float4 part = *(const float4*)(from + split * 2 * plane + column);
            sum.x += part.x;
            sum.y += part.y;
            sum.z += part.z;
            sum.w += part.w;
        }

        uint2 packed;
        packed.x = pack_bf16(sum.x, sum.y);
        packed.y = pack_bf16(sum.z, sum.w);
        *(uint2*)(to + column) = packed;
    }
}
