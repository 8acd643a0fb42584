// Dense product of any types, strides and alignments, for the cases that nothing faster takes.
#include "Common.cuh"

namespace {

constexpr int TILE = 32;

__device__ __forceinline__ float read(const void* p, i64 at, int type) {
    return type == TYPE_F32 ? ((const float*)p)[at] : to_float(((const bf16*)p)[at]);
}

__device__ __forceinline__ void write(void* p, i64 at, int type, float value) {
    if (type == TYPE_F32)
        ((float*)p)[at] = value;
    else
        ((bf16*)p)[at] = from_float<bf16>(value);
}

}  // namespace

// A block of 256 threads owns a tile of 32 × 32 results; thread (tx, ty) owns rows ty, ty + 8, … of column tx. K is
// walked in order.
extern "C" __global__ __launch_bounds__(256) void matmul(
    const void* a, int a_type, i64 a_row, i64 a_col, const void* b, int b_type, i64 b_row, i64 b_col, void* c,
    int c_type, i64 c_stride, int rows, int cols, int depth, float alpha, int accumulate,
    const void* bias, int bias_type) {
    // One word of padding: the transposed side is written column by column.
    __shared__ float tile_a[TILE][TILE + 1], tile_b[TILE][TILE + 1];
    int tx = threadIdx.x % TILE, ty = threadIdx.x / TILE;
    i64 row0 = (i64)blockIdx.y * TILE, col0 = (i64)blockIdx.x * TILE;
    float sum[4] = {};
    for (int k0 = 0; k0 < depth; k0 += TILE) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int y = ty + 8 * i;
            tile_a[y][tx] = row0 + y < rows && k0 + tx < depth ? read(a, (row0 + y) * a_row + (k0 + tx) * a_col,
                                                                      a_type) : 0.0f;
            tile_b[y][tx] = k0 + y < depth && col0 + tx < cols ? read(b, (k0 + y) * b_row + (col0 + tx) * b_col,
                                                                      b_type) : 0.0f;
        }
        // Both tiles are complete before anyone reads them, and read by all before they are replaced.
        __syncthreads();
        for (int k = 0; k < TILE; k++) {
#pragma unroll
            for (int i = 0; i < 4; i++) sum[i] += tile_a[ty + 8 * i][k] * tile_b[k][tx];
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        i64 row = row0 + ty + 8 * i, col = col0 + tx, at = row * c_stride + col;
        if (row >= rows || col >= cols) continue;
        float value = alpha * sum[i];
        if (bias) value += read(bias, col, bias_type);
        if (accumulate) value += read(c, at, c_type);
        write(c, at, c_type, value);
    }
}
