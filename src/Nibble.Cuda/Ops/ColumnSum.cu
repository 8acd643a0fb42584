// Sums of columns. A block owns 32 columns; warp w sums rows w, w + 8, …, and the eight sums are added in order: the
// same order every time.
#include "Common.cuh"

extern "C" __global__ __launch_bounds__(256) void column_sum(
    const act* x, i64 x_stride, float* y, int rows, int width) {
    __shared__ float partial[8][WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int col = blockIdx.x * WARP + lane;
    float sum = 0.0f;
    if (col < width)
        for (int row = warp; row < rows; row += 8) sum += to_float(x[row * x_stride + col]);
    partial[warp][lane] = sum;
    // All eight sums of a column must be there before warp 0 adds them.
    __syncthreads();
    if (warp == 0 && col < width) {
        sum = 0.0f;
#pragma unroll
        for (int i = 0; i < 8; i++) sum += partial[i][lane];
        y[col] += sum;
    }
}
