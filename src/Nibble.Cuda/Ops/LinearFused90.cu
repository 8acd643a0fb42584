// y = x W^T + b with a 4-bit W for the tokens of a short step, by warpgroups: what LinearFused.cu does, on sm_90a.
// check-arch: sm_90a
// check: TOKEN_BLOCKS=8 TOKEN_TILES=1
// check: TOKEN_BLOCKS=10 TOKEN_TILES=1
// check: TOKEN_BLOCKS=12 TOKEN_TILES=1
// check: TOKEN_BLOCKS=14 TOKEN_TILES=1
// check: TOKEN_BLOCKS=8 TOKEN_TILES=2
// check: TOKEN_BLOCKS=10 TOKEN_TILES=2
// check: TOKEN_BLOCKS=12 TOKEN_TILES=2
// check: TOKEN_BLOCKS=14 TOKEN_TILES=2
#include "FusedGroups.cuh"

// W has `cols` columns, a multiple of 64. Blocks 0 .. whole - 1 own a tile each, the others one of `splits` parts of
// one.
extern "C" __global__ __launch_bounds__(256, RESIDENT) void linear_fused_group(
    const bf16* x, i64 x_stride, int tokens, int cols, const float* values, Stack stack, Output output,
    float* parts, int whole, int splits)
{
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, q = lane % 4;
    Work work(whole, splits, tokens, cols / STEP);
    RowTile tile(stack, work.tile, OWNED);
    const Part& weight = tile.part;
    float value = values[lane & 15];
    unsigned stages = shared_address(shared_memory);
    const unsigned char* code_stages = shared_memory + STAGES * TOKEN_BYTES;

    // A thread brings half of a row's codes of a step. Rows 2 g and 2 g + 1 of a warp's 16 lie g and g + 8 rows into
    // its part; halves change places every four rows, so that eight rows fall into different banks.
    int code_row = threadIdx.x / 2, half = threadIdx.x % 2, slot = code_row % 16 / 2 + code_row % 2 * 8;
    bool coded = tile.row + code_row < weight.rows;
    const u8* code_from = weight.codes + ((i64)(tile.row + code_row) * cols + half * 32) / 2;
    unsigned code_to = stages + STAGES * TOKEN_BYTES + (code_row / 16 * 16 + slot) * 32 + (half ^ (slot / 4 & 1)) * 16;
    auto load = [&](int step)
    {
        if (step < work.last)
        {
            load_tokens<7, 1>(
                stages + (step % STAGES) * TOKEN_BYTES, x, x_stride, work.token, tokens, step * STEP, cols);
            copy_async_16(code_to + (step % STAGES) * CODE_BYTES,
                coded ? code_from + step * (STEP / 2) : weight.codes, coded);
        }

        // Groups are counted, so an empty one is closed too.
        copy_async_commit();
    };

    // Lanes r and r + 16 have the scale of row r of the warp's 16.
    int scale_row = tile.row + warp * 16 + lane % 16;
    bool scaled = scale_row < weight.rows;
    u32 scale_block = (u32)scale_row * (u32)(cols / BLOCK);
    Scale scale, next_scale;
    auto read_scale = [&](Scale& to, int step) { to.read(weight, scale_block + step, scaled && step < work.last); };

    // Of every word of codes this lane has two, those of byte q, in the instruction's order. A shuffle takes the lane's
    // number from five bits and both halves of a warp have the 16 values, so what stands above a code does not matter.
    auto dequantise = [&](Fragments& to, int step)
    {
        float own = scale.value(weight, scaled);
        float scales[2] = {__shfl_sync(ALL_LANES, own, 2 * g), __shfl_sync(ALL_LANES, own, 2 * g + 1)};
#pragma unroll
        for (int r = 0; r < 2; r++)
        {
#pragma unroll
            for (int h = 0; h < 2; h++)
            {
                uint4 codes = *(const uint4*)(code_stages + (step % STAGES) * CODE_BYTES
                    + (warp * 16 + 8 * r + g) * 32 + (h ^ (g / 4)) * 16);
                const u32 words[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
                for (int w = 0; w < 4; w++)
                {
                    u32 pair = words[w] >> (8 * q);
                    to[2 * h + w / 2][w % 2 * 2 + r] = pack_bf16(
                        __fmul_rn(__shfl_sync(ALL_LANES, value, pair >> 4), scales[r]),
                        __fmul_rn(__shfl_sync(ALL_LANES, value, pair), scales[r]));
                }
            }
        }
    };

#pragma unroll
    for (int s = 0; s < STAGES - 2; s++) load(work.first + s);
    read_scale(scale, work.first);
    read_scale(next_scale, work.first + 1);
    scale.look_up(weight);
    copy_async_wait<STAGES - 3>();
    // The first step's codes are there.
    __syncthreads();
    Fragments left, right;
    dequantise(left, work.first);

    float acc[TOKEN_TILES][TOKEN_BLOCKS][4] = {};
    auto advance = [&](int step, const Fragments& now, Fragments& next)
    {
        // This step and the next, whose codes are dequantised before it begins.
        copy_async_wait<STAGES - 4>();
        publish_shared();
        // All threads' copies are there. No warp has products of the step before the last under way any more.
        __syncthreads();
        load(step + STAGES - 2);
        // Read a step ago, and looked up while the products before are under way.
        scale = next_scale;
        scale.look_up(weight);
        read_scale(next_scale, step + 2);
        multiply_step(acc, now, stages + (step % STAGES) * TOKEN_BYTES);
        // Those of the step before are done, and the registers of `next` free.
        group_wait<1>();
        // Past the last step this is made of anything, and not used.
        dequantise(next, step + 1);
    };
    int step = work.first;
#pragma unroll 1
    for (; step + 1 < work.last; step += 2)
    {
        advance(step, left, right);
        advance(step + 1, right, left);
    }

    if (step < work.last) advance(step, left, right);

    group_wait<0>();
#pragma unroll
    for (int t = 0; t < TOKEN_TILES; t++) group_results(acc[t]);
    write_sums(
        acc, work, whole, tokens, warp * 16 + 2 * g, tile.first + tile.row, weight.rows - tile.row, output, parts);
}
