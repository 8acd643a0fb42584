// y += x; y = scale · x between element types; inverted dropout from counters.
#include "Common.cuh"
#include "Philox.cuh"

namespace {

template <int N>
__device__ __forceinline__ void add_rows(const act* x, i64 x_stride, act* y, i64 y_stride, i64 rows, u32 pieces) {
    for (i64 item = thread_index(), end = rows * pieces; item < end; item += thread_count()) {
        i64 row;
        u32 piece;
        split(item, pieces, row, piece);
        float a[N], b[N];
        Run<N, act>::load(x + row * x_stride + (i64)piece * N, a);
        Run<N, act>::load(y + row * y_stride + (i64)piece * N, b);
#pragma unroll
        for (int i = 0; i < N; i++) b[i] += a[i];
        Run<N, act>::store(y + row * y_stride + (i64)piece * N, b);
    }
}

// N elements share a counter when N is a multiple of 4 and the first element's index is too.
template <int N>
__device__ __forceinline__ void drop_rows(
    const act* x, i64 x_stride, act* y, i64 y_stride, i64 rows, u32 pieces, i64 width, float probability, float keep,
    u64 key, u64 stream, i64 row_offset, int accumulate) {
    for (i64 item = thread_index(), end = rows * pieces; item < end; item += thread_count()) {
        i64 row;
        u32 piece;
        split(item, pieces, row, piece);
        i64 col = (i64)piece * N;
        u64 index = (u64)((row_offset + row) * width + col);
        float v[N], sum[N];
        Run<N, act>::load(x + row * x_stride + col, v);
        if (accumulate) Run<N, act>::load(y + row * y_stride + col, sum);
        uint4 words = philox(key, index / 4, stream);
#pragma unroll
        for (int i = 0; i < N; i++) {
            if (i > 0 && i % 4 == 0) words = philox(key, index / 4 + i / 4, stream);
            int lane = N == 1 ? (int)(index & 3) : i & 3;
            u32 word = lane == 0 ? words.x : lane == 1 ? words.y : lane == 2 ? words.z : words.w;
            v[i] = philox_uniform(word) >= probability ? __fdiv_rn(v[i], keep) : 0.0f;
            if (accumulate) v[i] += sum[i];
        }
        Run<N, act>::store(y + row * y_stride + col, v);
    }
}

__device__ __forceinline__ double read(const void* p, i64 at, int type) {
    switch (type) {
        case TYPE_F64: return ((const double*)p)[at];
        case TYPE_F32: return ((const float*)p)[at];
        case TYPE_BF16: return to_float(((const bf16*)p)[at]);
        default: return to_float(((const f16*)p)[at]);
    }
}

}  // namespace

extern "C" __global__ __launch_bounds__(256) void add(
    const act* x, i64 x_stride, act* y, i64 y_stride, i64 rows, i64 width, int wide) {
    if (wide)
        add_rows<WIDE<act>>(x, x_stride, y, y_stride, rows, (u32)(width / WIDE<act>));
    else
        add_rows<1>(x, x_stride, y, y_stride, rows, (u32)width);
}

extern "C" __global__ __launch_bounds__(256) void dropout(
    const act* x, i64 x_stride, act* y, i64 y_stride, i64 rows, int width, float probability, float keep, u64 key,
    u64 stream, i64 row_offset, int accumulate, int wide) {
    if (wide)
        drop_rows<WIDE<act>>(
            x, x_stride, y, y_stride, rows, width / WIDE<act>, width, probability, keep, key, stream, row_offset,
            accumulate);
    else
        drop_rows<1>(
            x, x_stride, y, y_stride, rows, width, width, probability, keep, key, stream, row_offset, accumulate);
}

// Any of four types to any other. The product is one binary32 operation, or one binary64 operation when either side is
// F64.
extern "C" __global__ __launch_bounds__(256) void convert(
    const void* x, i64 x_stride, int x_type, void* y, i64 y_stride, int y_type, i64 rows, i64 width, float scale) {
    bool wide = x_type == TYPE_F64 || y_type == TYPE_F64;
    for (i64 item = thread_index(), end = rows * width; item < end; item += thread_count()) {
        i64 row;
        u32 col;
        split(item, (u32)width, row, col);
        double v = read(x, row * x_stride + col, x_type);
        v = wide ? v * (double)scale : (double)__fmul_rn((float)v, scale);
        i64 at = row * y_stride + col;
        switch (y_type) {
            case TYPE_F64: ((double*)y)[at] = v; break;
            case TYPE_F32: ((float*)y)[at] = (float)v; break;
            case TYPE_BF16: ((bf16*)y)[at] = from_float<bf16>((float)v); break;
            default: ((f16*)y)[at] = from_float<f16>((float)v); break;
        }
    }
}

// The pair training converts most: masters and gradients against activations, eight elements at a time.
extern "C" __global__ __launch_bounds__(256) void convert_wide(
    const void* x, i64 x_stride, int x_type, void* y, i64 y_stride, i64 rows, i64 width, float scale) {
    u32 pieces = (u32)(width / 8);
    for (i64 item = thread_index(), end = rows * pieces; item < end; item += thread_count()) {
        i64 row;
        u32 piece;
        split(item, pieces, row, piece);
        i64 from = row * x_stride + (i64)piece * 8, to = row * y_stride + (i64)piece * 8;
        float v[8];
        if (x_type == TYPE_F32) {
            Run<4, float>::load((const float*)x + from, v);
            Run<4, float>::load((const float*)x + from + 4, v + 4);
        } else {
            Run<8, bf16>::load((const bf16*)x + from, v);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] *= scale;
        if (x_type == TYPE_F32) {
            Run<8, bf16>::store((bf16*)y + to, v);
        } else {
            Run<4, float>::store((float*)y + to, v);
            Run<4, float>::store((float*)y + to + 4, v + 4);
        }
    }
}
