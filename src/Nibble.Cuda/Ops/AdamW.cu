// Gradient norm, AdamW over every trained tensor in one launch, refresh of the compute copies.
// A block of eight warps owns a chunk of 2048 elements of one tensor; a warp owns 256 of them, which is one block of
// 8-bit state, as elements lane, lane + 32, …: neighbours in memory belong to neighbouring lanes.
#include "Common.cuh"

namespace {

constexpr int PER_LANE = 8;
constexpr int PER_WARP = WARP * PER_LANE;

enum : int { DECAYS = 1, EIGHT_BIT = 2 };

// The host's SlotRecord.
struct Slot {
    i64 offset, state, block;
    void* compute;
    i64 compute_stride;
    int count, cols, compute_type, flags;
    float compute_scale, learning_rate_ratio;
};

struct Chunk {
    int slot, first;
};

// Number of a map's 255 boundaries strictly below x; NaN stands above none.
__device__ __forceinline__ u32 nearest(float x, const float* bounds) {
    u32 low = 0;
#pragma unroll
    for (u32 step = 128; step > 0; step >>= 1) low += x > bounds[low + step - 1] ? step : 0;
    return low;
}

__device__ __forceinline__ void refresh(const Slot& slot, int element, float master) {
    if (!slot.compute) return;
    int row = element / slot.cols;
    i64 at = row * slot.compute_stride + (element - row * slot.cols);
    float value = master * slot.compute_scale;
    if (slot.compute_type == TYPE_F32)
        ((float*)slot.compute)[at] = value;
    else
        ((bf16*)slot.compute)[at] = from_float<bf16>(value);
}

__device__ __forceinline__ bool finite(float x) { return fabsf(x) <= 3.402823466e38f; }

}  // namespace

// Partial sums of squares in binary64: thread i of the whole grid adds elements i, i + threads, …
extern "C" __global__ __launch_bounds__(256) void gradient_norm_partial(
    const float* gradient, i64 count, double* partial) {
    double sum = 0.0;
    for (i64 i = thread_index(); i < count; i += thread_count()) sum += (double)gradient[i] * gradient[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ __launch_bounds__(1024) void gradient_norm_final(const double* partial, int count, float* norm) {
    double sum = block_sum(threadIdx.x < count ? partial[threadIdx.x] : 0.0);
    if (threadIdx.x == 0) *norm = (float)sqrt(sum);
}

extern "C" __global__ __launch_bounds__(256) void adamw(
    const Slot* slots, const Chunk* chunks, float* master, const float* gradient, float* moment1, float* moment2,
    u8* codes1, u8* codes2, float* absmax1, float* absmax2, const float* signed_map, const float* unsigned_map,
    const float* signed_bounds, const float* unsigned_bounds, const float* norm, float max_norm, float learning_rate,
    float beta1, float beta2, float epsilon, float decay, float correction1, float correction2, int decay_after) {
    __shared__ float map1[256], map2[256], bounds1[256], bounds2[256];
    Chunk chunk = chunks[blockIdx.x];
    Slot slot = slots[chunk.slot];
    bool eight_bit = slot.flags & EIGHT_BIT;
    if (eight_bit) {
        int i = threadIdx.x;
        map1[i] = signed_map[i];
        map2[i] = unsigned_map[i];
        if (i < 255) bounds1[i] = signed_bounds[i], bounds2[i] = unsigned_bounds[i];
        // Every thread looks codes up in the whole of the maps. The branch is the same for the whole block.
        __syncthreads();
    }
    int lane = threadIdx.x % WARP;
    int first = chunk.first + threadIdx.x / WARP * PER_WARP;
    float clip = max_norm > 0.0f ? max_norm / (*norm + 1e-6f) : 1.0f;
    clip = clip > 1.0f ? 1.0f : clip;
    float rate = learning_rate * slot.learning_rate_ratio;
    float keep = slot.flags & DECAYS ? 1.0f - rate * decay : 1.0f;
    if (!eight_bit) {
        // Rounded once per result: double costs nothing here, and the last bits do not depend on how the rule is
        // written.
        double b1 = beta1, b2 = beta2;
#pragma unroll 1
        for (int e = first + lane; e < slot.count && e < first + PER_WARP; e += WARP) {
            float g = gradient[slot.offset + e] * clip, p = master[slot.offset + e];
            if (finite(g)) {
                i64 at = slot.state + e;
                double m = b1 * moment1[at] + (1.0 - b1) * g, v = b2 * moment2[at] + (1.0 - b2) * g * g;
                double change = rate * (m / correction1) / (sqrt(v / correction2) + epsilon);
                p = (float)(decay_after ? (p - change) * keep : p * (double)keep - change);
                moment1[at] = (float)m;
                moment2[at] = (float)v;
                master[slot.offset + e] = p;
            }
            refresh(slot, e, p);
        }
        return;
    }

    i64 block = slot.block + first / PER_WARP;
    float old1 = 0.0f, old2 = 0.0f;
    if (first < slot.count) old1 = absmax1[block], old2 = absmax2[block];
    float root = sqrtf(correction2);
    float m[PER_LANE], v[PER_LANE], top1 = 0.0f, top2 = 0.0f;
#pragma unroll
    for (int j = 0; j < PER_LANE; j++) {
        int e = first + lane + j * WARP;
        m[j] = v[j] = 0.0f;
        if (e >= slot.count) continue;
        float g = gradient[slot.offset + e] * clip, p = master[slot.offset + e];
        // A gradient that is not finite leaves the parameter as it is and zero moments.
        if (finite(g)) {
            // Single roundings, as the codes are part of the format.
            i64 at = slot.state + e;
            float old_m = __fmul_rn(map1[codes1[at]], old1), old_v = __fmul_rn(map2[codes2[at]], old2);
            m[j] = __fadd_rn(__fmul_rn(old_m, beta1), __fmul_rn(1.0f - beta1, g));
            v[j] = __fadd_rn(__fmul_rn(old_v, beta2), __fmul_rn(__fmul_rn(1.0f - beta2, g), g));
            float change = __fmul_rn(-rate * root / correction1, m[j] / __fadd_rn(sqrtf(v[j]), root * epsilon));
            p = decay_after ? __fmul_rn(__fadd_rn(p, change), keep) : __fadd_rn(__fmul_rn(p, keep), change);
            master[slot.offset + e] = p;
        }
        top1 = fmaxf(top1, fabsf(m[j]));
        top2 = fmaxf(top2, v[j]);
        refresh(slot, e, p);
    }
    top1 = warp_max(top1);
    top2 = warp_max(top2);
    if (first < slot.count && lane == 0) absmax1[block] = top1, absmax2[block] = top2;
#pragma unroll
    for (int j = 0; j < PER_LANE; j++) {
        int e = first + lane + j * WARP;
        if (e >= slot.count) continue;
        u32 code = nearest(__fdiv_rn(m[j], top1), bounds1);
        // Rounding to a neighbour must not turn a moment's sign.
        if (m[j] != 0.0f && (map1[code] < 0.0f) != (m[j] < 0.0f)) code += m[j] > 0.0f ? 1 : -1;
        codes1[slot.state + e] = (u8)code;
        codes2[slot.state + e] = (u8)nearest(__fdiv_rn(v[j], top2), bounds2);
    }
}

extern "C" __global__ __launch_bounds__(256) void refresh_compute(
    const Slot* slots, const Chunk* chunks, const float* master) {
    Chunk chunk = chunks[blockIdx.x];
    Slot slot = slots[chunk.slot];
    int first = chunk.first + threadIdx.x / WARP * PER_WARP + threadIdx.x % WARP;
#pragma unroll
    for (int j = 0; j < PER_LANE; j++) {
        int e = first + j * WARP;
        if (e < slot.count) refresh(slot, e, master[slot.offset + e]);
    }
}
