// Philox4x32-10, word for word that of Nibble.Tensors.Philox.
#pragma once
#include "Common.cuh"

__device__ __forceinline__ uint4 philox(u64 key, u64 counter, u64 stream) {
    u32 x = (u32)counter, y = (u32)(counter >> 32), z = (u32)stream, w = (u32)(stream >> 32);
    u32 k0 = (u32)key, k1 = (u32)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        u64 a = (u64)0xD2511F53u * x, b = (u64)0xCD9E8D57u * z;
        x = (u32)(b >> 32) ^ y ^ k0;
        y = (u32)b;
        z = (u32)(a >> 32) ^ w ^ k1;
        w = (u32)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return make_uint4(x, y, z, w);
}

// [0, 1) with 24 bits.
__device__ __forceinline__ float philox_uniform(u32 word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }
