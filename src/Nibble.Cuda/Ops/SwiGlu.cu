// Gated activation h = silu(g) · u, forward and backward; g and u are the two halves of one row.
#include "Common.cuh"

namespace {

template <int N>
__device__ __forceinline__ void forward(
    const act* gate_up, i64 gate_stride, act* h, i64 h_stride, i64 rows, u32 width) {
    u32 pieces = width / N;
    for (i64 item = thread_index(), end = rows * pieces; item < end; item += thread_count()) {
        i64 row;
        u32 piece;
        split(item, pieces, row, piece);
        const act* gate = gate_up + row * gate_stride + (i64)piece * N;
        float g[N], u[N];
        Run<N, act>::load(gate, g);
        Run<N, act>::load(gate + width, u);
#pragma unroll
        for (int i = 0; i < N; i++) u[i] *= g[i] / (1.0f + expf(-g[i]));
        Run<N, act>::store(h + row * h_stride + (i64)piece * N, u);
    }
}

template <int N>
__device__ __forceinline__ void backward(
    const act* dh, i64 dh_stride, const act* gate_up, i64 gate_stride, act* d_gate_up, i64 d_stride, act* h,
    i64 h_stride, i64 rows, u32 width) {
    u32 pieces = width / N;
    for (i64 item = thread_index(), end = rows * pieces; item < end; item += thread_count()) {
        i64 row;
        u32 piece;
        split(item, pieces, row, piece);
        const act* gate = gate_up + row * gate_stride + (i64)piece * N;
        act* out = d_gate_up + row * d_stride + (i64)piece * N;
        float d[N], g[N], u[N];
        Run<N, act>::load(dh + row * dh_stride + (i64)piece * N, d);
        Run<N, act>::load(gate, g);
        Run<N, act>::load(gate + width, u);
        // Outputs may replace inputs: what is written here was read above by this thread and by no other.
        if (h) {
            float made[N];
#pragma unroll
            for (int i = 0; i < N; i++) made[i] = u[i] * (g[i] / (1.0f + expf(-g[i])));
            Run<N, act>::store(h + row * h_stride + (i64)piece * N, made);
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            float s = 1.0f / (1.0f + expf(-g[i]));
            float dg = d[i] * u[i] * s * (1.0f + g[i] * (1.0f - s));
            u[i] = d[i] * g[i] * s;
            g[i] = dg;
        }
        Run<N, act>::store(out, g);
        Run<N, act>::store(out + width, u);
    }
}

}  // namespace

extern "C" __global__ __launch_bounds__(256) void swiglu_forward(
    const act* gate_up, i64 gate_stride, act* h, i64 h_stride, i64 rows, int width, int wide) {
    if (wide)
        forward<WIDE<act>>(gate_up, gate_stride, h, h_stride, rows, width);
    else
        forward<1>(gate_up, gate_stride, h, h_stride, rows, width);
}

extern "C" __global__ __launch_bounds__(256) void swiglu_backward(
    const act* dh, i64 dh_stride, const act* gate_up, i64 gate_stride, act* d_gate_up, i64 d_stride, act* h,
    i64 h_stride, i64 rows, int width, int wide) {
    if (wide)
        backward<WIDE<act>>(dh, dh_stride, gate_up, gate_stride, d_gate_up, d_stride, h, h_stride, rows, width);
    else
        backward<1>(dh, dh_stride, gate_up, gate_stride, d_gate_up, d_stride, h, h_stride, rows, width);
}
