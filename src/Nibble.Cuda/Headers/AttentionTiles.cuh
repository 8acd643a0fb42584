// What attention's kernels do with a tile of scores in registers, whichever instruction made it: accumulators in the
// layout of Mma.cuh, 16 rows to a warp, of which a lane holds rows g and g + 8.
#pragma once
#include "Tile.cuh"

// Which columns of a tile a row sees: row r sees column c when c <= r, and c > r - window if there is a window. Both
// are positions in the sample, `first_row` that of the warp's first row.
struct Sight
{
    int first_row, first_column, window;

    // The same for all lanes of a warp: whether each of its `rows` rows sees each of `columns` columns.
    __device__ __forceinline__ bool whole(int rows, int columns) const
    {
        return first_column + columns - 1 <= first_row
            && (window == 0 || first_column > first_row + rows - 1 - window);
    }

    // Whether any of the rows sees any of the columns.
    __device__ __forceinline__ bool any(int rows, int columns) const
    {
        return first_column <= first_row + rows - 1 && (window == 0 || first_column + columns - 1 > first_row - window);
    }

    // Replaces what was computed for columns that a row does not see, infinite perhaps.
    template <int blocks>
    __device__ __forceinline__ void hide(float (&s)[blocks][4], float value, int lane) const
    {
#pragma unroll
        for (int i = 0; i < blocks; i++)
        {
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                int column = first_column + i * 8 + (lane & 3) * 2 + (e & 1);
                int row = first_row + (lane >> 2) + (e >> 1) * 8;
                bool visible = column <= row && (window == 0 || column > row - window);
                s[i][e] = visible ? s[i][e] : value;
            }
        }
    }

    // The same for a tile whose columns are queries and whose rows are keys.
    template <int blocks>
    __device__ __forceinline__ void hide_transposed(float (&s)[blocks][4], float value, int lane) const
    {
#pragma unroll
        for (int i = 0; i < blocks; i++)
        {
#pragma unroll
            for (int e = 0; e < 4; e++)
            {
                int query = first_column + i * 8 + (lane & 3) * 2 + (e & 1);
                int key = first_row + (lane >> 2) + (e >> 1) * 8;
                bool visible = key <= query && (window == 0 || key > query - window);
                s[i][e] = visible ? s[i][e] : value;
            }
        }
    }
};

// One step of the online softmax of 16 rows: scores become exponentials, and what was summed before is rescaled to the
// new maximum. Index 0 is row g, index 1 row g + 8; sums are per lane until the end.
template <int keys, int columns>
__device__ __forceinline__ void softmax_step(
    float (&s)[keys][4], float (&acc)[columns][4], float (&row_max)[2], float (&row_sum)[2], float scale_log2)
{
    const float infinity = __int_as_float(0x7f800000);
#pragma unroll
    for (int half = 0; half < 2; half++)
    {
        float top = row_max[half];
#pragma unroll
        for (int i = 0; i < keys; i++)
        {
            top = fmaxf(top, fmaxf(s[i][half * 2], s[i][half * 2 + 1]));
        }

        // The four lanes of a quad hold one row.
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
        // A row that has seen no key yet subtracts 0, so that exp2(-infinity) stays 0 and never NaN.
        float base = top == -infinity ? 0.0f : top * scale_log2;
        float correction = exp2_approximate(row_max[half] * scale_log2 - base);
        row_max[half] = top;
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < keys; i++)
        {
            float p0 = exp2_approximate(s[i][half * 2] * scale_log2 - base);
            float p1 = exp2_approximate(s[i][half * 2 + 1] * scale_log2 - base);
            s[i][half * 2] = p0;
            s[i][half * 2 + 1] = p1;
            sum += p0 + p1;
        }

        row_sum[half] = row_sum[half] * correction + sum;
#pragma unroll
        for (int i = 0; i < columns; i++)
        {
            acc[i][half * 2] *= correction;
            acc[i][half * 2 + 1] *= correction;
        }
    }
}

// Writes the log-sum-exp of row first + g or first + g + 8 when it is before `count`, and returns what its sums are to
// be multiplied with.
__device__ __forceinline__ float softmax_end(
    float row_max, float row_sum, float scale_log2, float* lse, int row, int count, int lane)
{
    float sum = row_sum;
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    if ((lane & 3) == 0 && row < count)
    {
        // ln 2 returns from powers of two to powers of e.
        lse[row] = sum > 0.0f ? (row_max * scale_log2 + log2f(sum)) * 0.693147180559945f : -__int_as_float(0x7f800000);
    }

    return sum > 0.0f ? 1.0f / sum : 0.0f;
}
