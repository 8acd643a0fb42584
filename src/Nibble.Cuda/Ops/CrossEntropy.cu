// Loss and, in place, the gradient of its logits; sums in a fixed order.
#include "Common.cuh"

namespace {

// Maximum and sum of e^(x - maximum), mergeable in any grouping. The maximum starts at the lowest finite number, so
// that no difference of infinities arises where nothing was seen; NaN and +∞ reach the sum.
struct Online {
    float max, sum;

    __device__ __forceinline__ void merge(float other_max, float other_sum) {
        float top = fmaxf(max, other_max);
        sum = sum * expf(max - top) + other_sum * expf(other_max - top);
        max = top;
    }
};

constexpr float LOWEST = -3.402823466e38f;

__device__ __forceinline__ Online block_merge(Online x) {
    __shared__ float maxima[WARP], sums[WARP];
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
#pragma unroll
    for (int offset = 16; offset > 0; offset >>= 1) {
        float m = __shfl_xor_sync(ALL_LANES, x.max, offset), s = __shfl_xor_sync(ALL_LANES, x.sum, offset);
        x.merge(m, s);
    }
    if (lane == 0) maxima[warp] = x.max, sums[warp] = x.sum;
    // Every warp's pair must be there before all threads merge them, each in the same order.
    __syncthreads();
    Online all{maxima[0], sums[0]};
    for (int i = 1; i < blockDim.x / WARP; i++) all.merge(maxima[i], sums[i]);
    return all;
}

template <int N>
__device__ __forceinline__ void row_loss(act* row, int width, int target, float* loss, float scale) {
    Online mine{LOWEST, 0.0f};
    float v[N];
    for (int c = threadIdx.x * N; c < width; c += blockDim.x * N) {
        Run<N, act>::load(row + c, v);
        float top = mine.max;
#pragma unroll
        for (int i = 0; i < N; i++) top = fmaxf(top, v[i]);
        float sum = mine.sum * expf(mine.max - top);
#pragma unroll
        for (int i = 0; i < N; i++) sum += expf(v[i] - top);
        mine.max = top;
        mine.sum = sum;
    }
    float picked = to_float(row[target]);
    Online all = block_merge(mine);
    float log_sum = all.max + logf(all.sum);
    if (threadIdx.x == 0) *loss = log_sum - picked;
    if (scale == 0.0f) return;
    // All threads read the target's logit before the barrier inside block_merge, so it may be overwritten now.
    float inverse = 1.0f / all.sum;
    for (int c = threadIdx.x * N; c < width; c += blockDim.x * N) {
        Run<N, act>::load(row + c, v);
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = scale * (expf(v[i] - all.max) * inverse - (c + i == target ? 1.0f : 0.0f));
        Run<N, act>::store(row + c, v);
    }
}

}  // namespace

// One block a row: the vocabulary is long, rows are few.
extern "C" __global__ __launch_bounds__(1024) void cross_entropy(
    act* logits, i64 stride, const int* targets, float* losses, int width, float scale, int wide) {
    act* row = logits + (i64)blockIdx.x * stride;
    if (wide)
        row_loss<WIDE<act>>(row, width, targets[blockIdx.x], losses + blockIdx.x, scale);
    else
        row_loss<1>(row, width, targets[blockIdx.x], losses + blockIdx.x, scale);
}

// One block: thread i adds values i, i + 1024, …, then the block's tree; the same order every time.
extern "C" __global__ __launch_bounds__(1024) void accumulate_sum(
    const float* values, i64 count, double scale, double* total) {
    double sum = 0.0;
    for (i64 i = threadIdx.x; i < count; i += blockDim.x) sum += (double)values[i] * scale;
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total += sum;
}
