// y = x Wᵀ + b with a 4-bit W, for the few tokens of decoding: the weight is read once, in 4 bits, and dequantised in
// registers.
// check: TOKEN_TILES=1
// check: TOKEN_TILES=2
// check: TOKEN_TILES=4
#include "Common.cuh"

namespace {

constexpr int BLOCK = 64;
constexpr int NESTED = 256;
constexpr int WARPS = 8;
constexpr int ROWS = 16;

__device__ __forceinline__ void mma(float* c, const u32* a, u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// 32 codes of each of two rows, and their scales.
struct Piece {
    uint4 codes[2];
    float scale[2];
};

struct Weight {
    const u8* codes;
    const void* absmax;
    const float *nested, *map;
    float offset;
    int rows, cols;

    __device__ __forceinline__ Piece load(int row, int k) const {
        Piece piece;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            piece.codes[r] = make_uint4(0, 0, 0, 0);
            piece.scale[r] = 0.0f;
            if (k < cols && row + 8 * r < rows) {
                i64 at = (i64)(row + 8 * r) * cols + k, block = at / BLOCK;
                piece.codes[r] = __ldcs((const uint4*)(codes + at / 2));
                piece.scale[r] = nested ? __fadd_rn(__fmul_rn(__ldg(map + ((const u8*)absmax)[block]),
                                                              __ldg(nested + block / NESTED)), offset)
                                        : ((const float*)absmax)[block];
            }
        }
        return piece;
    }
};

}  // namespace

// A block owns 16 rows of W and all tokens; its 8 warps share K in chunks of 128 and their sums are added in order.
// In a chunk, lane 4g + q holds k = 32q … 32q + 31 of rows g and g + 8 and of tokens g, g + 8, …: the products of a dot
// product may be taken in any order as long as both sides take the same, so four of these k at a time stand in for the
// fragment's columns.
extern "C" __global__ __launch_bounds__(256) void linear_4bit(
    const bf16* x, i64 x_stride, int tokens, const u8* codes, const void* absmax, const float* nested, const float* map,
    float offset, const float* values, const void* bias, int bias_type, bf16* y, i64 y_stride, int rows, int cols) {
    __shared__ float partial[WARPS][8 * TOKEN_TILES][ROWS];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, q = lane % 4;
    int row = blockIdx.x * ROWS + g;
    float value = values[lane & 15];
    Weight weight{codes, absmax, nested, map, offset, rows, cols};
    float sum[TOKEN_TILES][4] = {};
    Piece next = weight.load(row, warp * 128 + q * 32);
    for (int chunk = warp * 128; chunk < cols; chunk += WARPS * 128) {
        int k = chunk + q * 32;
        Piece piece = next;
        next = weight.load(row, k + WARPS * 128);
        const u32 words[2][4] = {{piece.codes[0].x, piece.codes[0].y, piece.codes[0].z, piece.codes[0].w},
                                 {piece.codes[1].x, piece.codes[1].y, piece.codes[1].z, piece.codes[1].w}};
#pragma unroll
        for (int w = 0; w < 4; w++) {
            // packed[r][j]: values 2j and 2j + 1 of the word's eight, rounded to bfloat16 like a dequantised weight.
            u32 packed[2][4];
#pragma unroll
            for (int r = 0; r < 2; r++) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    u32 pair = words[r][w] >> (8 * j);
                    float low = __fmul_rn(__shfl_sync(ALL_LANES, value, (pair >> 4) & 15), piece.scale[r]);
                    float high = __fmul_rn(__shfl_sync(ALL_LANES, value, pair & 15), piece.scale[r]);
                    packed[r][j] = pack_bf16(low, high);
                }
            }
#pragma unroll
            for (int t = 0; t < TOKEN_TILES; t++) {
                int token = t * 8 + g;
                uint4 v = make_uint4(0, 0, 0, 0);
                if (token < tokens && k < cols) v = *(const uint4*)(x + token * x_stride + k + w * 8);
                const u32 first[4] = {packed[0][0], packed[1][0], packed[0][1], packed[1][1]};
                const u32 second[4] = {packed[0][2], packed[1][2], packed[0][3], packed[1][3]};
                mma(sum[t], first, v.x, v.y);
                mma(sum[t], second, v.z, v.w);
            }
        }
    }
#pragma unroll
    for (int t = 0; t < TOKEN_TILES; t++) {
        partial[warp][t * 8 + q * 2][g] = sum[t][0];
        partial[warp][t * 8 + q * 2 + 1][g] = sum[t][1];
        partial[warp][t * 8 + q * 2][g + 8] = sum[t][2];
        partial[warp][t * 8 + q * 2 + 1][g + 8] = sum[t][3];
    }
    // The sums of all eight warps must be there before they are added.
    __syncthreads();
    for (int i = threadIdx.x; i < 8 * TOKEN_TILES * ROWS; i += blockDim.x) {
        int token = i / ROWS, n = blockIdx.x * ROWS + i % ROWS;
        if (token >= tokens || n >= rows) continue;
        float total = 0.0f;
#pragma unroll
        for (int w = 0; w < WARPS; w++) total += partial[w][token][i % ROWS];
        if (bias) total += bias_type == TYPE_F32 ? ((const float*)bias)[n] : to_float(((const bf16*)bias)[n]);
        y[token * y_stride + n] = from_float<bf16>(total);
    }
}
