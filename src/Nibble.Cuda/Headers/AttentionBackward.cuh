// What the kernels of attention's backward pass share. bf16, head widths that are multiples of 32 up to 256, sm_80
// and later; compiled once per head width with HEAD_DIM defined; the launcher is Attention.cs. Algorithm: T. Dao,
// "FlashAttention-2" (2023), algorithm 2, in two kernels that each own what they write, so there are no atomics and
// the same calls give the same bits:
//   attention_backward_query_* one query tile of one head; loops over key tiles; also computes delta. Runs first.
//   attention_backward_key     one key tile of one key/value head; loops over the group's heads and query tiles.
//   attention_backward_sum     adds the parts when a group's heads were split over several blocks.
// Queries and keys of a sample are the same tokens: query i sees keys j with i - window < j <= i.
#pragma once
#include "AttentionTiles.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

// Rows of the tiles that are walked over; the tile that a block owns has 64 rows, 16 for each of its four warps.
// Narrower for wide heads, whose accumulators leave fewer registers and whose tiles need more shared memory.
#ifndef WALK_TILE
#define WALK_TILE (HEAD_DIM > 128 ? 16 : HEAD_DIM > 64 ? 32 : 64)
#endif

__device__ __forceinline__ float bf16_low(unsigned pair)
{
    return __uint_as_float(pair << 16);
}

__device__ __forceinline__ float bf16_high(unsigned pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

__device__ __forceinline__ float dot_pair(unsigned a, unsigned b)
{
    return bf16_low(a) * bf16_low(b) + bf16_high(a) * bf16_high(b);
}

// Dot product of eight bf16 with eight others.
__device__ __forceinline__ float dot_chunks(uint4 a, uint4 b)
{
    return dot_pair(a.x, b.x) + dot_pair(a.y, b.y) + dot_pair(a.z, b.z) + dot_pair(a.w, b.w);
}
