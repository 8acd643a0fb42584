// dx (+)= dy W with a 4-bit W for the tokens of a short step: W is read in 4 bits and never written. bf16, sums in F32,
// sm_80 and later; the launcher is LinearFused.cs.
// check: TOKEN_BLOCKS=8 TOKEN_TILES=1
// check: TOKEN_BLOCKS=10 TOKEN_TILES=1
// check: TOKEN_BLOCKS=12 TOKEN_TILES=1
// check: TOKEN_BLOCKS=14 TOKEN_TILES=1
#include "FusedWarps.cuh"

namespace {

// Of a stage beside its tokens: codes of 64 rows and 256 columns, then the rows' scales in each of four blocks of
// columns, which are read eight rows at a time by lanes four columns of blocks apart.
constexpr int CODE_BYTES = STEP * OWNED / 2;
constexpr int SCALE_PITCH = STEP + 8;
constexpr int STAGE_BYTES = TOKEN_BYTES + CODE_BYTES + OWNED / BLOCK * SCALE_PITCH * 4;

}  // namespace

// W has `cols` columns, a multiple of 64, and its matrices' rows are multiples of 8. Blocks 0 .. whole - 1 own a tile
// each, the others one of `splits` parts of one.
extern "C" __global__ __launch_bounds__(256) void linear_fused_backward(
    const bf16* dy, i64 dy_stride, int tokens, int cols, const float* values, Stack stack, Output output,
    float* parts, int whole, int splits)
{
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, q = lane % 4;
    StepPlaces places(stack);
    Work work(whole, splits, tokens, places.count());
    int col0 = work.tile * OWNED;
    float value = values[lane & 15];
    unsigned stages = shared_address(shared_memory);

    auto load = [&](int step)
    {
        if (step < work.last)
        {
            StepPlace p = places[step];
            unsigned stage = stages + (step % STAGES) * STAGE_BYTES;
            load_tokens<1, 4>(stage, dy + p.first, dy_stride, work.token, tokens, p.row, p.part.rows);
            stage += TOKEN_BYTES;
#pragma unroll
            for (int i = 0; i < CODE_BYTES / 16; i += THREADS)
            {
                // Chunk c has the columns of warp c; lanes that read one at a time are eight rows apart.
                int row = (i + (int)threadIdx.x) / 8, chunk = threadIdx.x % 8;
                bool valid = p.row + row < p.part.rows && col0 + chunk * 32 < cols;
                const u8* from = p.part.codes + ((i64)(p.row + row) * cols + col0) / 2 + chunk * 16;
                copy_async_16(
                    stage + row * 128 + (chunk ^ row / 8) * 16, valid ? from : p.part.codes, valid);
            }
        }

        // Groups are counted, so an empty one is closed too.
        copy_async_commit();
    };

    // Each thread brings one scale of a step.
    int scale_row = threadIdx.x / 4, scale_block = threadIdx.x % 4;
    auto valid_scale = [&](const StepPlace& p, int step)
    {
        return step < work.last && p.row + scale_row < p.part.rows && col0 + scale_block * BLOCK < cols;
    };
    auto read_scale = [&](Scale& scale, int step)
    {
        StepPlace p = places[step];
        scale.read(
            p.part, (u32)(p.row + scale_row) * (u32)(cols / BLOCK) + col0 / BLOCK + scale_block, valid_scale(p, step));
    };
    auto store_scale = [&](const Scale& scale, int step)
    {
        StepPlace p = places[step];
        *(float*)(shared_memory + (step % STAGES) * STAGE_BYTES + TOKEN_BYTES + CODE_BYTES
            + (scale_block * SCALE_PITCH + scale_row) * 4) = scale.value(p.part, valid_scale(p, step));
    };
    auto look_up = [&](Scale& scale, int step) { scale.look_up(places[step].part); };

    // Four codes of each of eight rows, and the rows' scales.
    u32 codes[8];
    float scales[8];
    auto read_half = [&](int step, int half)
    {
        const unsigned char* stage = shared_memory + (step % STAGES) * STAGE_BYTES + TOKEN_BYTES;
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            codes[j] = *(const u16*)(stage + (32 * half + 8 * q + j) * 128 + (warp ^ (4 * half + q)) * 16 + 2 * g);
        }

        const float* at = (const float*)(stage + CODE_BYTES) + warp / 2 * SCALE_PITCH + 32 * half + 8 * q;
        float4 low = *(const float4*)at, high = *(const float4*)(at + 4);
        scales[0] = low.x, scales[1] = low.y, scales[2] = low.z, scales[3] = low.w;
        scales[4] = high.x, scales[5] = high.y, scales[6] = high.z, scales[7] = high.w;
    };
    // A register of fragments holds one column of two neighbouring rows. A shuffle takes the lane's number from five
    // bits and both halves of a warp have the 16 values, so what stands above the code does not matter.
    auto dequantise = [&](Fragments& to, int index)
    {
        int s = index / 8, i = index / 4 % 2, r = index % 4, row = 4 * s + r / 2 * 2, shift = 8 * i + (r % 2 ? 0 : 4);
        to[s][i][r] = pack_bf16(
            __fmul_rn(__shfl_sync(ALL_LANES, value, codes[row] >> shift), scales[row]),
            __fmul_rn(__shfl_sync(ALL_LANES, value, codes[row + 1] >> shift), scales[row + 1]));
    };

#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) load(work.first + s);
    Scale scale, next;
    read_scale(scale, work.first);
    read_scale(next, work.first + 1);
    look_up(scale, work.first);
    look_up(next, work.first + 1);
    store_scale(scale, work.first);
    store_scale(next, work.first + 1);
    read_scale(next, work.first + 2);
    copy_async_wait<STAGES - 2>();
    // The first step's codes and scales are there.
    __syncthreads();
    read_half(work.first, 0);
    Fragments left, right;
#pragma unroll
    for (int r = 0; r < 16; r++) dequantise(left, r);

    float acc[2][TOKEN_BLOCKS][4] = {};
#pragma unroll 1
    for (int step = work.first; step < work.last; step++)
    {
        // This step and the next, whose codes are dequantised before it begins.
        copy_async_wait<STAGES - 3>();
        // All threads' copies are there, and scales, and no thread reads the stage of the step before any more.
        __syncthreads();
        load(step + STAGES - 1);
        look_up(next, step + 2);
        const unsigned char* at = shared_memory + (step % STAGES) * STAGE_BYTES + g * 128;
        read_half(step, 1);
        multiply_half(acc, left, at + (q ^ (g & 1) * 4) * 16, [&](int r) { dequantise(right, r); });
        store_scale(next, step + 2);
        read_scale(next, step + 3);
        // Past the last step this is read and not used.
        read_half(step + 1, 0);
        multiply_half(acc, right, at + ((4 + q) ^ (g & 1) * 4) * 16, [&](int r) { dequantise(left, r); });
    }

    write_sums(acc, work, whole, tokens, col0, cols - col0, output, parts);
}
