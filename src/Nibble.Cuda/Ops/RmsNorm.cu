// Root-mean-square norm: forward, forward fused with the residual sum, backward, weight gradient.
// A group of D columns belongs to one warp (short groups) or to one block of 256 threads (long groups); its second
// reading comes from L1.
#include "Common.cuh"

namespace {

// Sum over the threads that share a group.
template <bool BLOCK> __device__ __forceinline__ float group_sum(float x) { return BLOCK ? block_sum(x) : warp_sum(x); }

template <bool BLOCK> struct Group {
    i64 row;
    int group, thread, threads;
    bool live;

    // `units` = rows × groups. A warp past the end has no group; a block is never past the end.
    __device__ Group(i64 units, int groups) {
        i64 unit = BLOCK ? blockIdx.x : (i64)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
        thread = BLOCK ? threadIdx.x : threadIdx.x % WARP;
        threads = BLOCK ? blockDim.x : WARP;
        live = unit < units;
        row = unit / groups;
        group = (int)(unit - row * groups);
    }
};

// With a delta, `sum` is written first and then normed; without one, x is.
template <bool BLOCK, int N>
__device__ __forceinline__ void forward(
    const act* x, i64 x_stride, const act* delta, i64 delta_stride, act* sum, i64 sum_stride, const act* weight, act* y,
    i64 y_stride, float* rstd, i64 rstd_stride, i64 rows, int groups, int width, float epsilon) {
    Group<BLOCK> g(rows * groups, groups);
    if (!g.live) return;
    x += g.row * x_stride + (i64)g.group * width;
    y += g.row * y_stride + (i64)g.group * width;
    if (delta) delta += g.row * delta_stride, sum += g.row * sum_stride;
    float squares = 0.0f, v[N], w[N];
    for (int c = g.thread * N; c < width; c += g.threads * N) {
        Run<N, act>::load(x + c, v);
        if (delta) {
            Run<N, act>::load(delta + c, w);
#pragma unroll
            for (int i = 0; i < N; i++) v[i] = rounded<act>(v[i] + w[i]);
            Run<N, act>::store(sum + c, v);
        }
#pragma unroll
        for (int i = 0; i < N; i++) squares += v[i] * v[i];
    }
    const act* normed = delta ? sum : x;
    float r = 1.0f / sqrtf(group_sum<BLOCK>(squares) / width + epsilon);
    if (g.thread == 0) rstd[g.row * rstd_stride + g.group] = r;
    // A thread reads back only what it wrote itself, and overwrites only what it alone has read: outputs may be inputs.
    for (int c = g.thread * N; c < width; c += g.threads * N) {
        Run<N, act>::load(normed + c, v);
        Run<N, act>::load(weight + c, w);
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = w[i] * rounded<act>(v[i] * r);
        Run<N, act>::store(y + c, v);
    }
}

template <bool BLOCK, int N>
__device__ __forceinline__ void backward(
    const act* dy, i64 dy_stride, const act* x, i64 x_stride, const act* weight, const float* rstd, i64 rstd_stride,
    act* dx, i64 dx_stride, i64 rows, int groups, int width, int accumulate) {
    Group<BLOCK> g(rows * groups, groups);
    if (!g.live) return;
    dy += g.row * dy_stride + (i64)g.group * width;
    x += g.row * x_stride + (i64)g.group * width;
    dx += g.row * dx_stride + (i64)g.group * width;
    float r = rstd[g.row * rstd_stride + g.group];
    float sum = 0.0f, d[N], v[N], w[N];
    for (int c = g.thread * N; c < width; c += g.threads * N) {
        Run<N, act>::load(dy + c, d);
        Run<N, act>::load(x + c, v);
        Run<N, act>::load(weight + c, w);
#pragma unroll
        for (int i = 0; i < N; i++) sum += d[i] * w[i] * v[i];
    }
    float factor = r * r * (group_sum<BLOCK>(sum) / width);
    // dx may be dy: each element is read and written by one thread, after the sum that needs all of them.
    for (int c = g.thread * N; c < width; c += g.threads * N) {
        Run<N, act>::load(dy + c, d);
        Run<N, act>::load(x + c, v);
        Run<N, act>::load(weight + c, w);
#pragma unroll
        for (int i = 0; i < N; i++) d[i] = r * (d[i] * w[i] - v[i] * factor);
        if (accumulate) {
            Run<N, act>::load(dx + c, v);
#pragma unroll
            for (int i = 0; i < N; i++) d[i] += v[i];
        }
        Run<N, act>::store(dx + c, d);
    }
}

}  // namespace

extern "C" __global__ __launch_bounds__(256) void rms_norm_forward(
    const act* x, i64 x_stride, const act* delta, i64 delta_stride, act* sum, i64 sum_stride, const act* weight, act* y,
    i64 y_stride, float* rstd, i64 rstd_stride, i64 rows, int groups, int width, float epsilon, int wide) {
    if (wide)
        forward<true, WIDE<act>>(
            x, x_stride, delta, delta_stride, sum, sum_stride, weight, y, y_stride, rstd, rstd_stride, rows, groups,
            width, epsilon);
    else
        forward<true, 1>(
            x, x_stride, delta, delta_stride, sum, sum_stride, weight, y, y_stride, rstd, rstd_stride, rows, groups,
            width, epsilon);
}

extern "C" __global__ __launch_bounds__(256) void rms_norm_groups_forward(
    const act* x, i64 x_stride, const act* delta, i64 delta_stride, act* sum, i64 sum_stride, const act* weight, act* y,
    i64 y_stride, float* rstd, i64 rstd_stride, i64 rows, int groups, int width, float epsilon, int wide) {
    if (wide)
        forward<false, WIDE<act>>(
            x, x_stride, delta, delta_stride, sum, sum_stride, weight, y, y_stride, rstd, rstd_stride, rows, groups,
            width, epsilon);
    else
        forward<false, 1>(
            x, x_stride, delta, delta_stride, sum, sum_stride, weight, y, y_stride, rstd, rstd_stride, rows, groups,
            width, epsilon);
}

extern "C" __global__ __launch_bounds__(256) void rms_norm_backward(
    const act* dy, i64 dy_stride, const act* x, i64 x_stride, const act* weight, const float* rstd, i64 rstd_stride,
    act* dx, i64 dx_stride, i64 rows, int groups, int width, int accumulate, int wide) {
    if (wide)
        backward<true, WIDE<act>>(
            dy, dy_stride, x, x_stride, weight, rstd, rstd_stride, dx, dx_stride, rows, groups, width, accumulate);
    else
        backward<true, 1>(
            dy, dy_stride, x, x_stride, weight, rstd, rstd_stride, dx, dx_stride, rows, groups, width, accumulate);
}

extern "C" __global__ __launch_bounds__(256) void rms_norm_groups_backward(
    const act* dy, i64 dy_stride, const act* x, i64 x_stride, const act* weight, const float* rstd, i64 rstd_stride,
    act* dx, i64 dx_stride, i64 rows, int groups, int width, int accumulate, int wide) {
    if (wide)
        backward<false, WIDE<act>>(
            dy, dy_stride, x, x_stride, weight, rstd, rstd_stride, dx, dx_stride, rows, groups, width, accumulate);
    else
        backward<false, 1>(
            dy, dy_stride, x, x_stride, weight, rstd, rstd_stride, dx, dx_stride, rows, groups, width, accumulate);
}

// dw[d] += Σ over rows and groups of dy · x · r. A block owns 32 columns; warp w sums units w, w + 8, …, and the eight
// sums are added in order: the same order every time.
extern "C" __global__ __launch_bounds__(256) void rms_norm_backward_weight(
    const act* dy, i64 dy_stride, const act* x, i64 x_stride, const float* rstd, i64 rstd_stride, float* dw, i64 rows,
    int groups, int width) {
    __shared__ float partial[8][WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int col = blockIdx.x * WARP + lane;
    float sum = 0.0f;
    if (col < width) {
        for (i64 unit = warp; unit < rows * groups; unit += 8) {
            i64 row = unit / groups, group = unit - row * groups, at = group * width + col;
            float r = rstd[row * rstd_stride + group];
            sum += to_float(dy[row * dy_stride + at]) * to_float(x[row * x_stride + at]) * r;
        }
    }
    partial[warp][lane] = sum;
    // All eight sums of a column must be there before warp 0 adds them.
    __syncthreads();
    if (warp == 0 && col < width) {
        sum = 0.0f;
#pragma unroll
        for (int i = 0; i < 8; i++) sum += partial[i][lane];
        dw[col] += sum;
    }
}
