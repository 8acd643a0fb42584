// Rotary embedding in place, both directions. One item is N adjacent pairs (j, j + D/2) of one head.
#include "Common.cuh"

namespace {

template <int N>
__device__ __forceinline__ void rotate(
    act* x, i64 stride, const int* positions, const float* table, i64 table_stride, i64 rows, u32 heads, u32 half,
    float sign) {
    u32 pieces = half / N;
    for (i64 item = thread_index(), end = rows * heads * pieces; item < end; item += thread_count()) {
        i64 row, head;
        u32 in_row, piece;
        split(item, heads * pieces, row, in_row);
        split(in_row, pieces, head, piece);
        act* low = x + row * stride + head * (2 * half) + piece * N;
        act* high = low + half;
        const float* cosine = table + (i64)positions[row] * table_stride + piece * N;
        float a[N], b[N], ra[N], rb[N];
        Run<N, act>::load(low, a);
        Run<N, act>::load(high, b);
#pragma unroll
        for (int i = 0; i < N; i++) {
            float c = cosine[i], s = sign * cosine[half + i];
            ra[i] = a[i] * c - b[i] * s;
            rb[i] = b[i] * c + a[i] * s;
        }
        Run<N, act>::store(low, ra);
        Run<N, act>::store(high, rb);
    }
}

}  // namespace

extern "C" __global__ __launch_bounds__(256) void rope(
    act* x, i64 stride, const int* positions, const float* table, i64 table_stride, i64 rows, int heads, int half,
    float sign, int wide) {
    if (wide)
        rotate<WIDE<act>>(x, stride, positions, table, table_stride, rows, heads, half, sign);
    else
        rotate<1>(x, stride, positions, table, table_stride, rows, heads, half, sign);
}
