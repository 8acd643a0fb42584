// dx (+)= dy W with a 4-bit W for the tokens of a short step, by warpgroups: what LinearFusedBackward.cu does, on
// sm_90a.
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

namespace {

// After the tokens and codes of all steps: scales of 64 rows in each of two blocks of columns.
constexpr int SCALE_BYTES = OWNED / BLOCK * STEP * 4;

}  // namespace

// W has `cols` columns, a multiple of 64, and its matrices' rows are multiples of 8. Blocks 0 .. whole - 1 own a tile
// each, the others one of `splits` parts of one.
extern "C" __global__ __launch_bounds__(256, RESIDENT) void linear_fused_backward_group(
    const bf16* dy, i64 dy_stride, int tokens, int cols, const float* values, Stack stack, Output output,
    float* parts, int whole, int splits)
{
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, g = lane / 4, q = lane % 4;
    // Warps w and w + 4, of either group, share 32 columns: of each four that stand together the first has two.
    int group = warp / 4, strip = warp % 4;
    StepPlaces places(stack);
    Work work(whole, splits, tokens, places.count());
    int col0 = work.tile * OWNED;
    float value = values[lane & 15];
    unsigned stages = shared_address(shared_memory), code_stages = stages + STAGES * TOKEN_BYTES;
    float* scale_stages = (float*)(shared_memory + STAGES * (TOKEN_BYTES + CODE_BYTES));

    int code_row = threadIdx.x / 4, chunk = threadIdx.x % 4;
    auto load = [&](int step)
    {
        if (step < work.last)
        {
            StepPlace p = places[step];
            load_tokens<7, 1>(stages + (step % STAGES) * TOKEN_BYTES, dy + p.first, dy_stride, work.token, tokens,
                p.row, p.part.rows);
            bool valid = p.row + code_row < p.part.rows && col0 + chunk * 32 < cols;
            const u8* from = p.part.codes + ((i64)(p.row + code_row) * cols + col0) / 2 + chunk * 16;
            copy_async_16(code_stages + (step % STAGES) * CODE_BYTES + tile_offset<32>(code_row, chunk),
                valid ? from : p.part.codes, valid);
        }

        // Groups are counted, so an empty one is closed too.
        copy_async_commit();
    };

    // Half of the threads bring one scale of a step each.
    int scale_row = threadIdx.x / 2 % STEP, scale_block = threadIdx.x % 2;
    auto valid_scale = [&](const StepPlace& p, int step)
    {
        return threadIdx.x < 2 * STEP && step < work.last && p.row + scale_row < p.part.rows
            && col0 + scale_block * BLOCK < cols;
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
        if (threadIdx.x < 2 * STEP)
        {
            scale_stages[(step % STAGES) * (SCALE_BYTES / 4) + scale_block * STEP + scale_row] =
                scale.value(p.part, valid_scale(p, step));
        }
    };
    auto look_up = [&](Scale& scale, int step) { scale.look_up(places[step].part); };

    // A transposed load of codes by fours hands a lane those of rows 2 q and 2 q + 1, in the halves of a register, and
    // columns 4 g .. 4 g + 3: what the instruction wants of them. A shuffle takes the lane's number from five bits and
    // both halves of a warp have the 16 values, so what stands above a code does not matter.
    auto dequantise = [&](Fragments& to, int step)
    {
        const float* scales = scale_stages + (step % STAGES) * (SCALE_BYTES / 4) + strip / 2 * STEP + 2 * q;
#pragma unroll
        for (int h = 0; h < 2; h++)
        {
            unsigned codes[4];
            load_matrix_x4_transposed(
                codes, code_stages + (step % STAGES) * CODE_BYTES + tile_offset<32>(32 * h + lane, strip));
#pragma unroll
            for (int i = 0; i < 4; i++)
            {
                float2 scale = *(const float2*)(scales + 32 * h + 8 * i);
                u32 low = codes[i] >> (8 * group), high = low >> 16;
                to[2 * h + i / 2][i % 2 * 2] = pack_bf16(
                    __fmul_rn(__shfl_sync(ALL_LANES, value, low >> 4), scale.x),
                    __fmul_rn(__shfl_sync(ALL_LANES, value, high >> 4), scale.y));
                to[2 * h + i / 2][i % 2 * 2 + 1] = pack_bf16(
                    __fmul_rn(__shfl_sync(ALL_LANES, value, low), scale.x),
                    __fmul_rn(__shfl_sync(ALL_LANES, value, high), scale.y));
            }
        }
    };

#pragma unroll
    for (int s = 0; s < STAGES - 2; s++) load(work.first + s);
    Scale scale, next_scale;
    read_scale(scale, work.first);
    read_scale(next_scale, work.first + 1);
    look_up(scale, work.first);
    look_up(next_scale, work.first + 1);
    store_scale(scale, work.first);
    store_scale(next_scale, work.first + 1);
    read_scale(next_scale, work.first + 2);
    copy_async_wait<STAGES - 3>();
    // The first step's codes and scales are there.
    __syncthreads();
    Fragments left, right;
    dequantise(left, work.first);

    float acc[TOKEN_TILES][TOKEN_BLOCKS][4] = {};
    auto advance = [&](int step, const Fragments& now, Fragments& next)
    {
        // This step and the next, whose codes are dequantised before it begins.
        copy_async_wait<STAGES - 4>();
        publish_shared();
        // All threads' copies are there, and scales. No warp has products of the step before the last under way any
        // more.
        __syncthreads();
        load(step + STAGES - 2);
        // Read a step ago, and looked up while the products before are under way.
        scale = next_scale;
        look_up(scale, step + 2);
        read_scale(next_scale, step + 3);
        multiply_step(acc, now, stages + (step % STAGES) * TOKEN_BYTES);
        // Those of the step before are done, and the registers of `next` free.
        group_wait<1>();
        // Past the last step this is made of anything, and not used.
        dequantise(next, step + 1);
        store_scale(scale, step + 2);
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
    write_sums(acc, work, whole, tokens, strip * 32 + 4 * g + 2 * group, col0, cols - col0, output, parts);
}
