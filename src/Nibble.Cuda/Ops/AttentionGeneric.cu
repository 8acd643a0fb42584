// Attention for what the tensor-core kernels do not take: F32 activations, any head width, rows that are not aligned
// to 16 bytes, and a few query rows against a long cache. The launcher is Attention.cs; compiled once per activation
// type, as Common.cuh says. All arithmetic is in F32. A warp works through keys (or queries) 32 at a time: one lane
// per key for the scores, then one lane per column for the weighted sums.

#include "Common.cuh"

extern __shared__ __align__(128) unsigned char shared_memory[];

// Sum over `width` of x times a row in memory; `wide` when rows are aligned to 16 bytes and `width` is whole runs of
// 16 bytes.
__device__ __forceinline__ float dot(const float* x, const act* row, int width, bool wide)
{
    float sum = 0.0f;
    if (wide)
    {
#pragma unroll 2
        for (int d = 0; d < width; d += WIDE<act>)
        {
            float values[WIDE<act>];
            Run<WIDE<act>, act>::load(row + d, values);
#pragma unroll
            for (int i = 0; i < WIDE<act>; i++)
            {
                sum += x[d + i] * values[i];
            }
        }
    }
    else
    {
#pragma unroll 4
        for (int d = 0; d < width; d++)
        {
            sum += x[d] * to_float(row[d]);
        }
    }

    return sum;
}

// One block per query row and head: q [Tq, H x D], k, v [Tk, Hkv x D] with row strides in elements, cu_* I32 [samples
// + 1], o [Tq, H x D], lse F32 [H, Tq]. Its warps take turns over chunks of 32 keys and are merged in order at the
// end. `wide` says that 16 bytes can be read at a time. Grid (rows of the longest sample, H, samples), any whole
// number of warps. Shared memory, F32: q [D]; per warp o [D]; per warp maximum and sum.
extern "C" __global__ void attention_generic_forward(
    const act* q, long long q_stride, const act* k, long long k_stride, const act* v, long long v_stride,
    const int* cu_query, const int* cu_key, act* o, long long o_stride, float* lse, long long lse_stride, int group,
    int width, float scale, int window, bool wide)
{
    int head = blockIdx.y;
    int query_start = cu_query[blockIdx.z];
    int key_start = cu_key[blockIdx.z];
    int n = cu_query[blockIdx.z + 1] - query_start;
    int m = cu_key[blockIdx.z + 1] - key_start;
    int row = blockIdx.x;
    if (row >= n)
    {
        return;
    }

    int key_end = row + m - n + 1;
    int key_begin = window > 0 ? max(key_end - window, 0) : 0;
    q += (query_start + row) * q_stride + (long long)head * width;
    o += (query_start + row) * o_stride + (long long)head * width;
    k += key_start * k_stride + (long long)(head / group) * width;
    v += key_start * v_stride + (long long)(head / group) * width;

    int warps = blockDim.x / 32;
    int warp = threadIdx.x / 32;
    int lane = threadIdx.x % 32;
    float* q_row = (float*)shared_memory;
    float* all_acc = q_row + width;
    float* acc = all_acc + warp * width;
    float* warp_tops = all_acc + warps * width;
    float* warp_sums = warp_tops + warps;
    for (int d = threadIdx.x; d < width; d += blockDim.x)
    {
        q_row[d] = to_float(q[d]);
    }

    for (int d = lane; d < width; d += 32)
    {
        acc[d] = 0.0f;
    }

    // All of q is read by every lane.
    __syncthreads();
    const float infinity = __int_as_float(0x7f800000);
    float top = -infinity;
    float sum = 0.0f;
    for (int first = key_begin + warp * 32; first < key_end; first += warps * 32)
    {
        int count = min(32, key_end - first);
        float score = lane < count ? dot(q_row, k + (first + lane) * k_stride, width, wide) * scale : -infinity;
        float new_top = fmaxf(top, warp_max(score));
        // At least one lane has a finite score, so new_top is finite.
        float correction = expf(top - new_top);
        float p = expf(score - new_top);
        sum = sum * correction + warp_sum(p);
        p = rounded<act>(p);
        top = new_top;
        // Lanes own columns; every lane meets all shuffles, so the bound is rounded up.
        for (int base = 0; base < width; base += 32)
        {
            int d = base + lane;
            float value = d < width ? acc[d] * correction : 0.0f;
            for (int j = 0; j < count; j++)
            {
                float weight = __shfl_sync(0xffffffffu, p, j);
                if (d < width)
                {
                    value += weight * to_float((v + (first + j) * v_stride)[d]);
                }
            }

            if (d < width)
            {
                acc[d] = value;
            }
        }
    }

    if (lane == 0)
    {
        warp_tops[warp] = top;
        warp_sums[warp] = sum;
    }

    // The merge reads every warp's part.
    __syncthreads();
    float block_top = -infinity;
    for (int w = 0; w < warps; w++)
    {
        block_top = fmaxf(block_top, warp_tops[w]);
    }

    float block_sum = 0.0f;
    for (int w = 0; w < warps; w++)
    {
        block_sum += warp_sums[w] > 0.0f ? warp_sums[w] * expf(warp_tops[w] - block_top) : 0.0f;
    }

    for (int d = threadIdx.x; d < width; d += blockDim.x)
    {
        float value = 0.0f;
        for (int w = 0; w < warps; w++)
        {
            value += warp_sums[w] > 0.0f ? all_acc[w * width + d] * expf(warp_tops[w] - block_top) : 0.0f;
        }

        o[d] = from_float<act>(block_sum > 0.0f ? value / block_sum : 0.0f);
    }

    if (threadIdx.x == 0)
    {
        lse[head * lse_stride + query_start + row] = block_sum > 0.0f ? block_top + logf(block_sum) : -infinity;
    }
}

// One warp per query row and head; writes dq [T, H x D] and delta F32 [H, T]. Runs before
// attention_generic_backward_key. `wide` says that 16 bytes can be read at a time. Grid (rows of the longest sample,
// H, samples), 32 threads. Shared memory, F32: q, dO, dq [D] each.
extern "C" __global__ void __launch_bounds__(32) attention_generic_backward_query(
    const act* d_o, long long d_o_stride, const act* q, long long q_stride, const act* k, long long k_stride,
    const act* v, long long v_stride, const act* o, long long o_stride, const float* lse, long long lse_stride,
    const int* cu, float* delta, long long delta_stride, act* dq, long long dq_stride, int group, int width,
    float scale, int window, bool wide)
{
    int head = blockIdx.y;
    int start = cu[blockIdx.z];
    int n = cu[blockIdx.z + 1] - start;
    int row = blockIdx.x;
    if (row >= n)
    {
        return;
    }

    long long column = (long long)head * width;
    q += (start + row) * q_stride + column;
    d_o += (start + row) * d_o_stride + column;
    o += (start + row) * o_stride + column;
    dq += (start + row) * dq_stride + column;
    k += start * k_stride + (long long)(head / group) * width;
    v += start * v_stride + (long long)(head / group) * width;

    int lane = threadIdx.x;
    float* q_row = (float*)shared_memory;
    float* d_o_row = q_row + width;
    float* acc = d_o_row + width;
    float row_delta = 0.0f;
    for (int d = lane; d < width; d += 32)
    {
        q_row[d] = to_float(q[d]);
        d_o_row[d] = to_float(d_o[d]);
        row_delta += d_o_row[d] * to_float(o[d]);
        acc[d] = 0.0f;
    }

    row_delta = warp_sum(row_delta);
    float row_lse = lse[head * lse_stride + start + row];
    if (lane == 0)
    {
        delta[head * delta_stride + start + row] = row_delta;
    }

    // All of q and dO is read by every lane.
    __syncwarp();
    int key_end = row + 1;
    for (int first = window > 0 ? max(key_end - window, 0) : 0; first < key_end; first += 32)
    {
        int count = min(32, key_end - first);
        float ds = 0.0f;
        if (lane < count)
        {
            float p = expf(dot(q_row, k + (first + lane) * k_stride, width, wide) * scale - row_lse);
            ds = p * (dot(d_o_row, v + (first + lane) * v_stride, width, wide) - row_delta) * scale;
        }

        // Lanes own columns; every lane meets all shuffles, so the bound is rounded up.
        for (int base = 0; base < width; base += 32)
        {
            int d = base + lane;
            float value = d < width ? acc[d] : 0.0f;
            for (int j = 0; j < count; j++)
            {
                float weight = __shfl_sync(0xffffffffu, ds, j);
                if (d < width)
                {
                    value += weight * to_float((k + (first + j) * k_stride)[d]);
                }
            }

            if (d < width)
            {
                acc[d] = value;
            }
        }
    }

    for (int d = lane; d < width; d += 32)
    {
        dq[d] = from_float<act>(acc[d]);
    }
}

// One warp per key row and key/value head; sums over the group's heads in order. Writes dk, dv [T, Hkv x D].
// `wide` says that 16 bytes can be read at a time. Grid (rows of the longest sample, Hkv, samples), 32 threads.
// Shared memory, F32: k, v, dk, dv [D] each.
extern "C" __global__ void __launch_bounds__(32) attention_generic_backward_key(
    const act* d_o, long long d_o_stride, const act* q, long long q_stride, const act* k, long long k_stride,
    const act* v, long long v_stride, const float* lse, long long lse_stride, const int* cu, const float* delta,
    long long delta_stride, act* dk, long long dk_stride, act* dv, long long dv_stride, int group, int width,
    float scale, int window, bool wide)
{
    int kv_head = blockIdx.y;
    int start = cu[blockIdx.z];
    int n = cu[blockIdx.z + 1] - start;
    int row = blockIdx.x;
    if (row >= n)
    {
        return;
    }

    long long column = (long long)kv_head * width;
    k += (start + row) * k_stride + column;
    v += (start + row) * v_stride + column;
    dk += (start + row) * dk_stride + column;
    dv += (start + row) * dv_stride + column;

    int lane = threadIdx.x;
    float* k_row = (float*)shared_memory;
    float* v_row = k_row + width;
    float* dk_acc = v_row + width;
    float* dv_acc = dk_acc + width;
    for (int d = lane; d < width; d += 32)
    {
        k_row[d] = to_float(k[d]);
        v_row[d] = to_float(v[d]);
        dk_acc[d] = 0.0f;
        dv_acc[d] = 0.0f;
    }

    // All of k and v is read by every lane.
    __syncwarp();
    int query_end = window > 0 ? (int)min((long long)row + window, (long long)n) : n;
    for (int head = kv_head * group; head < (kv_head + 1) * group; head++)
    {
        const act* q_head = q + start * q_stride + (long long)head * width;
        const act* d_o_head = d_o + start * d_o_stride + (long long)head * width;
        const float* head_lse = lse + head * lse_stride + start;
        const float* head_delta = delta + head * delta_stride + start;
        for (int first = row; first < query_end; first += 32)
        {
            int count = min(32, query_end - first);
            float p = 0.0f;
            float ds = 0.0f;
            if (lane < count)
            {
                int query = first + lane;
                p = expf(dot(k_row, q_head + query * q_stride, width, wide) * scale - head_lse[query]);
                ds = p * (dot(v_row, d_o_head + query * d_o_stride, width, wide) - head_delta[query]) * scale;
            }

            // Lanes own columns; every lane meets all shuffles, so the bound is rounded up.
            for (int base = 0; base < width; base += 32)
            {
                int d = base + lane;
                float dk_value = d < width ? dk_acc[d] : 0.0f;
                float dv_value = d < width ? dv_acc[d] : 0.0f;
                for (int i = 0; i < count; i++)
                {
                    float p_i = __shfl_sync(0xffffffffu, p, i);
                    float ds_i = __shfl_sync(0xffffffffu, ds, i);
                    if (d < width)
                    {
                        dk_value += ds_i * to_float((q_head + (first + i) * q_stride)[d]);
                        dv_value += p_i * to_float((d_o_head + (first + i) * d_o_stride)[d]);
                    }
                }

                if (d < width)
                {
                    dk_acc[d] = dk_value;
                    dv_acc[d] = dv_value;
                }
            }
        }
    }

    for (int d = lane; d < width; d += 32)
    {
        dk[d] = from_float<act>(dk_acc[d]);
        dv[d] = from_float<act>(dv_acc[d]);
    }
}
