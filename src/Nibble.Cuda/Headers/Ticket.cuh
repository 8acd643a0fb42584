// Sums that several blocks share: each leaves its part in global memory, and the block that draws the last ticket adds
// them, in the order of the parts and not of arrival, so that the bits depend on the shape alone.
#pragma once
#include "Common.cuh"

// Whether this block is the last of `count` to get here; what the others wrote before is then visible to it, through
// loads that pass the first-level cache by. All threads call it. The ticket starts at 0, and the last block leaves it
// so.
__device__ __forceinline__ bool draws_last_ticket(u32* ticket, u32 count)
{
    __shared__ u32 drawn;
    // All threads' parts are written before the ticket is drawn, whose release covers them.
    __syncthreads();
    if (threadIdx.x == 0)
    {
        u32 before;
        asm volatile("atom.acq_rel.gpu.inc.u32 %0, [%1], %2;" : "=r"(before) : "l"(ticket), "r"(count - 1) : "memory");
        drawn = before;
    }

    // The number is there for all threads, and what its acquire makes visible.
    __syncthreads();
    return drawn == count - 1;
}

// Most parts of a sum.
constexpr int MAX_PARTS = 8;

// The sum of `count` parts that other blocks wrote, `stride` apart, in order. All loads are under way before the first
// addition.
__device__ __forceinline__ float add_parts(const float* parts, int stride, int count)
{
    float x[MAX_PARTS], sum = 0.0f;
#pragma unroll
    for (int i = 0; i < MAX_PARTS; i++)
    {
        x[i] = 0.0f;
        if (i < count) asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(x[i]) : "l"(parts + i * stride) : "memory");
    }

#pragma unroll
    for (int i = 0; i < MAX_PARTS; i++) sum += x[i];
    return sum;
}
