// 4-bit block quantisation and its inverse, nested 8-bit scales; byte-equal to the published kernels' arithmetic:
// the operations that decide a code are single roundings, written as intrinsics so that no compiler fuses them.
#include "Common.cuh"

namespace {

constexpr int BLOCK = 64;
constexpr int NESTED = 256;
constexpr int UNROLL = 4;

__device__ __forceinline__ float read(const void* p, i64 at, int type) {
    switch (type) {
        case TYPE_F32: return ((const float*)p)[at];
        case TYPE_BF16: return to_float(((const bf16*)p)[at]);
        default: return to_float(((const f16*)p)[at]);
    }
}

// NaN stands above no boundary.
__device__ __forceinline__ u32 boundaries_below(float x, const float* bounds, int count) {
    u32 n = 0;
    for (int i = 0; i < count; i++) n += x > bounds[i] ? 1 : 0;
    return n;
}

__device__ __forceinline__ float scale_of(
    const void* absmax, const float* nested, const float* map, float offset, i64 block) {
    if (!nested) return ((const float*)absmax)[block];
    return __fadd_rn(__fmul_rn(__ldg(map + ((const u8*)absmax)[block]), __ldg(nested + block / NESTED)), offset);
}

}  // namespace

// A warp quantises a block: two neighbouring values, and so one byte, per lane.
extern "C" __global__ __launch_bounds__(256) void quantize_4bit(
    const void* x, int type, i64 count, const float* bounds, int bound_count, const u8* fp4_indices, u8* codes,
    float* absmax) {
    __shared__ float bound[16];
    if (threadIdx.x < bound_count) bound[threadIdx.x] = bounds[threadIdx.x];
    // Every thread reads all boundaries below.
    __syncthreads();
    int lane = threadIdx.x % WARP;
    i64 blocks = (count + BLOCK - 1) / BLOCK;
    for (i64 block = thread_index() / WARP; block < blocks; block += thread_count() / WARP) {
        i64 at = block * BLOCK + lane * 2;
        float v[2] = {at < count ? read(x, at, type) : 0.0f, at + 1 < count ? read(x, at + 1, type) : 0.0f};
        float top = warp_max(fmaxf(fabsf(v[0]), fabsf(v[1])));
        float inverse = __frcp_rn(top);
        u32 code[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float s = __fmul_rn(v[i], inverse);
            if (fp4_indices)
                code[i] = fp4_indices[boundaries_below(fabsf(s), bound, bound_count)] | (s < 0.0f ? 8u : 0u);
            else
                code[i] = boundaries_below(s, bound, bound_count);
        }
        if (at < count) codes[at / 2] = (u8)(code[0] << 4 | code[1]);
        if (lane == 0) absmax[block] = top;
    }
}

// One block: the mean of all scales, summed in binary64 in a fixed order and rounded once.
extern "C" __global__ __launch_bounds__(1024) void absmax_mean(const float* absmax, i64 count, float* mean) {
    double sum = 0.0;
    for (i64 i = threadIdx.x; i < count; i += blockDim.x) sum += absmax[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *mean = (float)(sum / count);
}

// One block of threads a nested block: scale less mean, coded by the signed map's boundaries.
extern "C" __global__ __launch_bounds__(256) void quantize_absmax(
    const float* absmax, i64 count, const float* mean, const float* bounds, u8* codes, float* nested) {
    __shared__ float bound[NESTED];
    if (threadIdx.x < NESTED - 1) bound[threadIdx.x] = bounds[threadIdx.x];
    i64 at = (i64)blockIdx.x * NESTED + threadIdx.x;
    float v = at < count ? __fadd_rn(absmax[at], -*mean) : 0.0f;
    // The barriers inside also publish the boundaries.
    float top = block_max(fabsf(v));
    float s = __fmul_rn(v, __frcp_rn(top));
    u32 low = 0;
#pragma unroll
    for (u32 step = NESTED / 2; step > 0; step >>= 1) low += s > bound[low + step - 1] ? step : 0;
    if (at < count) codes[at] = (u8)low;
    if (threadIdx.x == 0) nested[blockIdx.x] = top;
}

// A thread turns words of eight codes into 16-byte stores, four words in flight. Words hold the first code in the high
// nibble of the low byte. Code values sit in the lanes of each warp and are fetched by shuffle, so every lane takes
// part in every shuffle.
extern "C" __global__ __launch_bounds__(256) void dequantize_4bit(
    const u32* codes, const void* absmax, const float* nested, const float* map, float offset, const float* values,
    act* y, u32 words) {
    float value = values[threadIdx.x & 15];
    i64 base = (i64)blockIdx.x * (256 * UNROLL) + threadIdx.x;
    u32 word[UNROLL];
    float scale[UNROLL];
#pragma unroll
    for (int u = 0; u < UNROLL; u++) word[u] = base + u * 256 < words ? __ldcs(codes + base + u * 256) : 0u;
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
        i64 i = base + u * 256 < words ? base + u * 256 : words - 1;
        scale[u] = scale_of(absmax, nested, map, offset, i * 8 / BLOCK);
    }
#pragma unroll
    for (int u = 0; u < UNROLL; u++) {
        float v[8];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            u32 pair = word[u] >> (8 * j);
            v[2 * j] = __fmul_rn(__shfl_sync(ALL_LANES, value, (pair >> 4) & 15), scale[u]);
            v[2 * j + 1] = __fmul_rn(__shfl_sync(ALL_LANES, value, pair & 15), scale[u]);
        }
        i64 i = base + u * 256;
        if (i < words) {
#pragma unroll
            for (int k = 0; k < 8; k += WIDE<act>) Run<WIDE<act>, act>::store(y + i * 8 + k, v + k);
        }
    }
}

// Any count and alignment: one byte, two values per thread.
extern "C" __global__ __launch_bounds__(256) void dequantize_4bit_bytes(
    const u8* codes, const void* absmax, const float* nested, const float* map, float offset, const float* values,
    act* y, i64 count) {
    for (i64 item = thread_index(); item < (count + 1) / 2; item += thread_count()) {
        float scale = scale_of(absmax, nested, map, offset, item * 2 / BLOCK);
        y[item * 2] = from_float<act>(__fmul_rn(values[codes[item] >> 4], scale));
        if (item * 2 + 1 < count) y[item * 2 + 1] = from_float<act>(__fmul_rn(values[codes[item] & 15], scale));
    }
}
