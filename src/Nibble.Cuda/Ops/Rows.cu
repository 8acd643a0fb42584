// Rows moved by index or as they are, whatever their element type: units of 16, 8, 4, 2 or 1 bytes.
#include "Common.cuh"

namespace {

template <class U, class Source, class Target>
__device__ __forceinline__ void move(
    const U* x, i64 x_stride, U* y, i64 y_stride, i64 rows, u32 units, Source source, Target target) {
    for (i64 item = thread_index(), end = rows * units; item < end; item += thread_count()) {
        i64 row;
        u32 unit;
        split(item, units, row, unit);
        y[target(row) * y_stride + unit] = x[source(row) * x_stride + unit];
    }
}

template <class Source, class Target>
__device__ __forceinline__ void move(
    const void* x, i64 x_stride, void* y, i64 y_stride, i64 rows, i64 units, int unit_bytes, Source source,
    Target target) {
    switch (unit_bytes) {
        case 16: return move((const uint4*)x, x_stride, (uint4*)y, y_stride, rows, (u32)units, source, target);
        case 8: return move((const u64*)x, x_stride, (u64*)y, y_stride, rows, (u32)units, source, target);
        case 4: return move((const u32*)x, x_stride, (u32*)y, y_stride, rows, (u32)units, source, target);
        case 2: return move((const u16*)x, x_stride, (u16*)y, y_stride, rows, (u32)units, source, target);
        default: return move((const u8*)x, x_stride, (u8*)y, y_stride, rows, (u32)units, source, target);
    }
}

struct Same {
    __device__ i64 operator()(i64 row) const { return row; }
};

struct Indexed {
    const int* index;
    __device__ i64 operator()(i64 row) const { return index[row]; }
};

}  // namespace

extern "C" __global__ __launch_bounds__(256) void gather_rows(
    const void* x, i64 x_stride, const int* index, void* y, i64 y_stride, i64 rows, i64 units, int unit_bytes) {
    move(x, x_stride, y, y_stride, rows, units, unit_bytes, Indexed{index}, Same{});
}

extern "C" __global__ __launch_bounds__(256) void scatter_rows(
    const void* x, i64 x_stride, const int* index, void* y, i64 y_stride, i64 rows, i64 units, int unit_bytes) {
    move(x, x_stride, y, y_stride, rows, units, unit_bytes, Same{}, Indexed{index});
}

extern "C" __global__ __launch_bounds__(256) void copy_rows(
    const void* x, i64 x_stride, void* y, i64 y_stride, i64 rows, i64 units, int unit_bytes) {
    move(x, x_stride, y, y_stride, rows, units, unit_bytes, Same{}, Same{});
}
