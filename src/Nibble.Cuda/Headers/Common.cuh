// What every kernel file shares: integer names, bfloat16, 16-byte loads and stores, reductions in a fixed order.
// Compiled by NVRTC without any CUDA header.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

struct bf16 { u16 bits; };
struct f16 { u16 bits; };

// Element types as the host passes them: the values of DType.
enum : int { TYPE_F64 = 0, TYPE_F32 = 1, TYPE_BF16 = 2, TYPE_F16 = 3 };

// The activation type a module is compiled for.
#if defined(ACTIVATION_F32)
typedef float act;
#elif defined(ACTIVATION_BF16)
typedef bf16 act;
#endif

constexpr int WARP = 32;
constexpr u32 ALL_LANES = 0xffffffffu;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(double x) { return (float)x; }
__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
__device__ __forceinline__ float to_float(f16 x) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.bits));
    return r;
}

// Two values rounded to nearest even; the first in the low half, as memory order wants it.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}

template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ double from_float<double>(float x) { return (double)x; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) { return bf16{(u16)pack_bf16(x, 0.0f)}; }
template <> __device__ __forceinline__ f16 from_float<f16>(float x) {
    f16 r;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r.bits) : "f"(x));
    return r;
}

// x rounded to T and widened again.
template <class T> __device__ __forceinline__ float rounded(float x) { return to_float(from_float<T>(x)); }

// Elements of T in 16 bytes.
template <class T> constexpr int WIDE = 16 / (int)sizeof(T);

// N consecutive elements: N = 1, or N = WIDE<T> from an address that is a multiple of 16.
template <int N, class T> struct Run;

template <class T> struct Run<1, T> {
    static __device__ __forceinline__ void load(const T* p, float* v) { v[0] = to_float(p[0]); }
    static __device__ __forceinline__ void store(T* p, const float* v) { p[0] = from_float<T>(v[0]); }
};

template <> struct Run<4, float> {
    static __device__ __forceinline__ void load(const float* p, float* v) {
        float4 w = *(const float4*)p;
        v[0] = w.x, v[1] = w.y, v[2] = w.z, v[3] = w.w;
    }
    static __device__ __forceinline__ void store(float* p, const float* v) {
        *(float4*)p = make_float4(v[0], v[1], v[2], v[3]);
    }
};

template <> struct Run<8, bf16> {
    static __device__ __forceinline__ void load(const bf16* p, float* v) {
        uint4 w = *(const uint4*)p;
        u32 words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            v[2 * i] = __uint_as_float(words[i] << 16);
            v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
        }
    }
    static __device__ __forceinline__ void store(bf16* p, const float* v) {
        *(uint4*)p = make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]),
                                pack_bf16(v[6], v[7]));
    }
};

// All lanes get the sum, added in the same order every time.
template <class T> __device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) x += __shfl_xor_sync(ALL_LANES, x, offset);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, offset));
    return x;
}

// All threads get the sum over the block; blockDim.x is a multiple of 32, at most 1024. Every thread must call it.
template <class T> __device__ __forceinline__ T block_sum(T x) {
    __shared__ T partial[WARP];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    x = warp_sum(x);
    // The barrier before the write keeps a second call from overwriting sums that the first still reads.
    __syncthreads();
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    x = lane < blockDim.x / WARP ? partial[lane] : T(0);
    return warp_sum(x);
}

__device__ __forceinline__ float block_max(float x) {
    __shared__ float partial[WARP];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) partial[warp] = x;
    __syncthreads();
    x = lane < blockDim.x / WARP ? partial[lane] : __uint_as_float(0xff800000u);
    return warp_max(x);
}

// Row and column of a flat index over rows of `width` items; 32-bit division where it is enough.
__device__ __forceinline__ void split(i64 item, u32 width, i64& row, u32& col) {
    if (((u64)item >> 32) == 0) {
        u32 r = (u32)item / width;
        row = r;
        col = (u32)item - r * width;
    } else {
        row = item / width;
        col = (u32)(item - row * width);
    }
}

// Flat index of this thread in a one-dimensional grid, and the number of threads in it.
__device__ __forceinline__ i64 thread_index() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ i64 thread_count() { return (i64)gridDim.x * blockDim.x; }
