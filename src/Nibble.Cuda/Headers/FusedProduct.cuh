// What the products with a 4-bit weight share, LinearFused*.cu: a weight is dequantised in registers, straight into
// the first operand of the tensor cores, rounded to bf16 as Dequantize4Bit does; tokens are the instruction's columns.
// A block owns some outputs of some tokens and walks over their sums in steps of 64 terms.
#pragma once
#include "Mma.cuh"

// Tokens of a block: by eights, an even number of them, and how often that.
#ifndef TOKEN_BLOCKS
#define TOKEN_BLOCKS 8
#endif
#ifndef TOKEN_TILES
#define TOKEN_TILES 1
#endif

constexpr int BLOCK = 64;
constexpr int NESTED = 256;
constexpr int STEP = 64;
constexpr int THREADS = 256;
constexpr int TOKENS = 8 * TOKEN_BLOCKS * TOKEN_TILES;

// Of a step in shared memory.
constexpr int TOKEN_BYTES = TOKENS * STEP * 2;

extern __shared__ __align__(1024) unsigned char shared_memory[];

// One of the matrices that a weight is stacked of.
struct Part
{
    const u8* codes;
    const void* absmax;
    const float* nested;
    const float* map;
    float offset;
    int rows;
};

// A scale on its way: what was read first, then what the map makes of it. Loads of a step are a step apart, so that
// none is waited for.
struct Scale
{
    u32 bits;
    float factor;

    __device__ __forceinline__ void read(const Part& part, u32 block, bool valid)
    {
        bits = 0;
        factor = 0.0f;
        if (!valid) return;
        if (part.nested)
        {
            bits = ((const u8*)part.absmax)[block];
            factor = __ldg(part.nested + block / NESTED);
        }
        else
            bits = ((const u32*)part.absmax)[block];
    }

    __device__ __forceinline__ void look_up(const Part& part)
    {
        if (part.nested) bits = __float_as_uint(__ldg(part.map + bits));
    }

    // What is not valid counts nothing.
    __device__ __forceinline__ float value(const Part& part, bool valid) const
    {
        float x = __uint_as_float(bits);
        if (part.nested) x = __fadd_rn(__fmul_rn(x, factor), part.offset);
        return valid ? x : 0.0f;
    }
};

// A weight is a stack of up to three matrices; those that are not there have no rows.
struct Stack
{
    Part top, middle, bottom;
};

// The matrix that a tile of `owned` rows is of, the matrix's first row in the stack, and the tile's first in it.
struct RowTile
{
    Part part;
    int first, row;

    __device__ __forceinline__ RowTile(const Stack& stack, int tile, int owned)
    {
        int top_tiles = (stack.top.rows + owned - 1) / owned, middle_tiles = (stack.middle.rows + owned - 1) / owned;
        part = stack.top;
        first = 0;
        row = tile * owned;
        if (tile >= top_tiles)
        {
            part = stack.middle;
            first = stack.top.rows;
            row = (tile - top_tiles) * owned;
            if (tile >= top_tiles + middle_tiles)
            {
                part = stack.bottom;
                first += stack.middle.rows;
                row = (tile - top_tiles - middle_tiles) * owned;
            }
        }
    }
};

// The matrix of a step over rows, the matrix's first row in the stack, and the step's first row in it.
struct StepPlace
{
    Part part;
    int first, row;
};

// Steps over rows: those of each matrix on its own.
struct StepPlaces
{
    const Stack& stack;
    int top, middle;

    __device__ __forceinline__ explicit StepPlaces(const Stack& from)
        : stack(from), top((from.top.rows + STEP - 1) / STEP), middle((from.middle.rows + STEP - 1) / STEP)
    {
    }

    __device__ __forceinline__ int count() const { return top + middle + (stack.bottom.rows + STEP - 1) / STEP; }

    __device__ __forceinline__ StepPlace operator[](int step) const
    {
        if (step < top) return StepPlace{stack.top, 0, step * STEP};
        if (step < top + middle) return StepPlace{stack.middle, stack.top.rows, (step - top) * STEP};
        return StepPlace{stack.bottom, stack.top.rows + stack.middle.rows, (step - top - middle) * STEP};
    }
};

// Which outputs, tokens and steps a block has: first the tiles that one block sums alone, then those whose sums are
// split. Tiles of the same outputs follow each other.
struct Work
{
    int tile, token, part, splits, first, last;

    __device__ __forceinline__ Work(int whole, int splits_of_rest, int tokens, int steps)
    {
        int block = (int)blockIdx.x, token_tiles = (tokens + TOKENS - 1) / TOKENS, index = block;
        part = 0;
        splits = 1;
        if (block >= whole)
        {
            index = whole + (block - whole) / splits_of_rest;
            part = (block - whole) % splits_of_rest;
            splits = splits_of_rest;
        }

        tile = index / token_tiles;
        token = (index % token_tiles) * TOKENS;
        first = (int)((i64)steps * part / splits);
        last = (int)((i64)steps * (part + 1) / splits);
    }
};

// Starts copying 64 terms of the block's tokens, from column `col` on; those past `cols` and tokens past the last are
// zeros. Rows are swizzled: `flip` times the row, of which the bits in `rows` count.
template <int rows, int flip>
__device__ __forceinline__ void load_tokens(
    unsigned stage, const bf16* x, i64 stride, int token, int tokens, int col, int cols)
{
    int row = threadIdx.x / 8, chunk = threadIdx.x % 8;
    bool inside = col + chunk * 8 < cols;
    const bf16* from = x + (i64)(token + row) * stride + col + chunk * 8;
    unsigned to = stage + row * 128 + (chunk ^ (row & rows) * flip) * 16;
#pragma unroll
    for (int r = 0; r < TOKENS; r += THREADS / 8)
    {
        if (TOKENS % (THREADS / 8) == 0 || row + r < TOKENS)
        {
            bool valid = inside && token + row + r < tokens;
            copy_async_16(to + r * 128, valid ? from : x, valid);
        }

        from += THREADS / 8 * stride;
    }
}

// Where sums go: y [tokens, ...], after bias, F32 or bf16, or null, and old value. Rows of y and of the matrices that
// its columns come from are multiples of four values, at multiples of eight bytes.
struct Output
{
    bf16* y;
    i64 stride;
    const void* bias;
    int bias_type, accumulate;

    // What is added to `width` neighbouring columns of every token; zeros past the last column.
    template <int width>
    __device__ __forceinline__ void read_bias(float (&to)[width], int col, bool valid) const
    {
#pragma unroll
        for (int i = 0; i < width; i++)
        {
            to[i] = 0.0f;
            if (bias && valid)
                to[i] = bias_type == TYPE_F32 ? ((const float*)bias)[col + i] : to_float(((const bf16*)bias)[col + i]);
        }
    }

    __device__ __forceinline__ void write(int token, int col, const float (&sums)[4], const float (&added)[4]) const
    {
        uint2* to = (uint2*)(y + token * stride + col);
        uint2 old = accumulate ? *to : make_uint2(0, 0);
        *to = make_uint2(add(old.x, sums[0] + added[0], sums[1] + added[1]),
                         add(old.y, sums[2] + added[2], sums[3] + added[3]));
    }

    __device__ __forceinline__ void write(int token, int col, const float (&sums)[2], const float (&added)[2]) const
    {
        u32* to = (u32*)(y + token * stride + col);
        *to = add(accumulate ? *to : 0u, sums[0] + added[0], sums[1] + added[1]);
    }

private:
    static __device__ __forceinline__ u32 add(u32 old, float low, float high)
    {
        return pack_bf16(__uint_as_float(old << 16) + low, __uint_as_float(old & 0xffff0000u) + high);
    }
};
