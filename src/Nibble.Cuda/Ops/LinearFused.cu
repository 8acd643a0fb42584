// y = x W^T + b with a 4-bit W for the tokens of a short step: W is read in 4 bits and never written. bf16, sums in
// F32, sm_80 and later; the launcher is LinearFused.cs.
// check: TOKEN_BLOCKS=8 TOKEN_TILES=1
// check: TOKEN_BLOCKS=10 TOKEN_TILES=1
// check: TOKEN_BLOCKS=12 TOKEN_TILES=1
// check: TOKEN_BLOCKS=14 TOKEN_TILES=1
#include "FusedWarps.cuh"

// W has `cols` columns, a multiple of 64. Blocks 0 .. whole - 1 own a tile each, the
// others one of `splits` parts of one.
extern "C" __global__ __launch_bounds__(256) void linear_fused(
    const bf16* x, i64 x_stride, int tokens, int cols, const float* values, Stack stack, Output output,
    float* parts, int whole, int splits)
{
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, q = lane % 4;
    Work work(whole, splits, tokens, cols / STEP);
    RowTile tile(stack, work.tile, OWNED);
    const Part& weight = tile.part;
    float value = values[lane & 15];
    int row0 = tile.row + warp * 32 + 4 * g;
    bool scaled = row0 + q < weight.rows;
    u32 scale_row = (u32)(row0 + q) * (u32)(cols / BLOCK);
    const u8* from = weight.codes + ((i64)row0 * cols + 16 * q) / 2;

    // 16 codes of each of this lane's rows.
    auto read_codes = [&](uint2 (&codes)[4], int step)
    {
#pragma unroll
        for (int r = 0; r < 4; r++)
        {
            codes[r] = make_uint2(0, 0);
            if (step < work.last && row0 + r < weight.rows)
                codes[r] = __ldcs((const uint2*)(from + (i64)r * (cols / 2) + step * (STEP / 2)));
        }
    };
    float scales[4];
    // Each lane has the scale of one row; four lanes share their rows.
    auto share = [&](float scale)
    {
#pragma unroll
        for (int r = 0; r < 4; r++) scales[r] = __shfl_sync(ALL_LANES, scale, (lane & ~3) | r);
    };
    // A register of fragments holds two neighbouring codes of a row: one byte of its word. A shuffle takes the lane's
    // number from five bits and both halves of a warp have the 16 values, so what stands above a code is not looked at.
    auto dequantise = [&](Fragments& to, const u32 (&words)[4], int index)
    {
        int s = index / 8, i = index / 4 % 2, r = index % 4, row = 2 * i + r % 2;
        u32 pair = words[row] >> (8 * (2 * s + r / 2));
        to[s][i][r] = pack_bf16(__fmul_rn(__shfl_sync(ALL_LANES, value, pair >> 4), scales[row]),
                                __fmul_rn(__shfl_sync(ALL_LANES, value, pair), scales[row]));
    };
    unsigned stages = shared_address(shared_memory);
    auto load = [&](int step)
    {
        if (step < work.last)
        {
            load_tokens<1, 1>(
                stages + (step % STAGES) * TOKEN_BYTES, x, x_stride, work.token, tokens, step * STEP, cols);
        }

        // Groups are counted, so an empty one is closed too.
        copy_async_commit();
    };

#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) load(work.first + s);
    uint2 ahead[4];
    u32 words[4], rest[4];
    Scale scale, next;
    scale.read(weight, scale_row + work.first, scaled);
    next.read(weight, scale_row + work.first + 1, scaled && work.first + 1 < work.last);
    read_codes(ahead, work.first);
#pragma unroll
    for (int r = 0; r < 4; r++) words[r] = ahead[r].x, rest[r] = ahead[r].y;
    read_codes(ahead, work.first + 1);
    scale.look_up(weight);
    share(scale.value(weight, scaled));
    Fragments left, right;
#pragma unroll
    for (int r = 0; r < 16; r++) dequantise(left, words, r);

    float acc[2][TOKEN_BLOCKS][4] = {};
#pragma unroll 1
    for (int step = work.first; step < work.last; step++)
    {
        copy_async_wait<STAGES - 2>();
        // The step's tokens are there, and no thread reads those of the step before any more.
        __syncthreads();
        load(step + STAGES - 1);
        next.look_up(weight);
        const unsigned char* at = shared_memory + (step % STAGES) * TOKEN_BYTES + g * 128;
        multiply_half(acc, left, at + ((2 * q) ^ (g & 1)) * 16, [&](int r) { dequantise(right, rest, r); });
        share(next.value(weight, scaled));
        next.read(weight, scale_row + step + 2, scaled && step + 2 < work.last);
#pragma unroll
        for (int r = 0; r < 4; r++) words[r] = ahead[r].x, rest[r] = ahead[r].y;
        read_codes(ahead, step + 2);
        multiply_half(acc, right, at + ((2 * q + 1) ^ (g & 1)) * 16, [&](int r) { dequantise(left, words, r); });
    }

    write_sums(acc, work, whole, tokens, tile.first + tile.row, weight.rows - tile.row, output, parts);
}
