// Gradient of the lookup. The block of a token works only when its id has not occurred before; it then adds the
// gradients of all tokens with that id, in their order: every row of the table has one writer.
#include "Common.cuh"

extern "C" __global__ __launch_bounds__(256) void embedding_backward(
    const int* ids, const act* dy, i64 dy_stride, float* dtable, i64 dtable_stride, int rows, int width) {
    __shared__ int found[256];
    __shared__ int counts[8];
    int token = blockIdx.x, id = ids[token];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    for (int first = 0; first < token; first += 256) {
        int at = first + threadIdx.x;
        // The vote is the same for every thread, so the block leaves as a whole.
        if (__syncthreads_or(at < token && ids[at] == id)) return;
    }
    float* row = dtable + (i64)id * dtable_stride;
    for (int first = token; first < rows; first += 256) {
        int at = first + threadIdx.x;
        bool hit = at < rows && ids[at] == id;
        u32 mask = __ballot_sync(ALL_LANES, hit);
        if (lane == 0) counts[warp] = __popc(mask);
        // Every warp places its tokens behind those of the warps before it.
        __syncthreads();
        int before = 0, total = 0;
#pragma unroll
        for (int w = 0; w < 8; w++) {
            if (w < warp) before += counts[w];
            total += counts[w];
        }
        if (hit) found[before + __popc(mask & ((1u << lane) - 1u))] = at;
        // The list is complete before anyone reads it.
        __syncthreads();
        for (int col = threadIdx.x; col < width && total > 0; col += 256) {
            float sum = row[col];
            for (int i = 0; i < total; i++) sum += to_float(dy[found[i] * dy_stride + col]);
            row[col] = sum;
        }
        // The list and the counts are read before the next 256 tokens overwrite them.
        __syncthreads();
    }
}
