// Rows of a table by id, converted to the activation type. The table may be host memory that the card reads over the
// bus.
#include "Common.cuh"

namespace {

// N elements of T go in pieces of 16 bytes, or one by one.
template <class T, int N> constexpr int run = WIDE<T> < N ? WIDE<T> : N;

template <class T, int N>
__device__ __forceinline__ void lookup(
    const int* ids, const T* table, i64 table_stride, act* y, i64 y_stride, i64 rows, u32 pieces) {
    for (i64 item = thread_index(), end = rows * pieces; item < end; item += thread_count()) {
        i64 row;
        u32 piece;
        split(item, pieces, row, piece);
        const T* from = table + (i64)ids[row] * table_stride + (i64)piece * N;
        float v[N];
#pragma unroll
        for (int i = 0; i < N; i += run<T, N>) Run<run<T, N>, T>::load(from + i, v + i);
#pragma unroll
        for (int i = 0; i < N; i += run<act, N>)
            Run<run<act, N>, act>::store(y + row * y_stride + (i64)piece * N + i, v + i);
    }
}

}  // namespace

extern "C" __global__ __launch_bounds__(256) void embedding(
    const int* ids, const void* table, i64 table_stride, int table_type, act* y, i64 y_stride, i64 rows, int width,
    int wide) {
    if (table_type == TYPE_F32) {
        if (wide)
            lookup<float, 8>(ids, (const float*)table, table_stride, y, y_stride, rows, width / 8);
        else
            lookup<float, 1>(ids, (const float*)table, table_stride, y, y_stride, rows, width);
    } else {
        if (wide)
            lookup<bf16, 8>(ids, (const bf16*)table, table_stride, y, y_stride, rows, width / 8);
        else
            lookup<bf16, 1>(ids, (const bf16*)table, table_stride, y, y_stride, rows, width);
    }
}
