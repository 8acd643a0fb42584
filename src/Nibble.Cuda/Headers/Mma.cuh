// Tensor-core and asynchronous-copy instructions of sm_80 and later, as functions.
//
// Fragments of mma.m16n8k16, for lane = 4 g + t (g 0..7, t 0..3), each register holding two bf16 of neighbouring
// columns (A) or rows (B), the lower index in the lower half:
//   A [16 x 16]  a0 = (g, 2t)  a1 = (g + 8, 2t)  a2 = (g, 2t + 8)  a3 = (g + 8, 2t + 8)
//   B [16 x  8]  b0 = (2t, g)  b1 = (2t + 8, g)
//   C [16 x  8]  c0 = (g, 2t)  c1 = (g, 2t + 1)  c2 = (g + 8, 2t)  c3 = (g + 8, 2t + 1)    (one float each)
#pragma once
#include "Common.cuh"

// Address of shared memory as the 32-bit number that the instructions below take.
__device__ __forceinline__ unsigned shared_address(const void* pointer)
{
    unsigned address;
    asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(address) : "l"(pointer));
    return address;
}

// 16 bytes, global to shared, past the first-level cache; zeros when not valid (the source address must still be
// mapped).
__device__ __forceinline__ void copy_async_16(unsigned shared, const void* global, bool valid)
{
    int bytes = valid ? 16 : 0;
    asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; cp.async.cg.shared.global [%0], [t], 16, %2; }"
        :: "r"(shared), "l"(global), "r"(bytes) : "memory");
}

// 4 bytes, global to shared; zeros when not valid.
__device__ __forceinline__ void copy_async_4(unsigned shared, const void* global, bool valid)
{
    int bytes = valid ? 4 : 0;
    asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; cp.async.ca.shared.global [%0], [t], 4, %2; }"
        :: "r"(shared), "l"(global), "r"(bytes) : "memory");
}

// Closes this thread's current group of copies.
__device__ __forceinline__ void copy_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most `pending` of this thread's groups are still under way. Other threads' copies need a barrier
// after it.
template <int pending>
__device__ __forceinline__ void copy_async_wait()
{
    asm volatile("cp.async.wait_group %0;" :: "n"(pending) : "memory");
}

// Four 8 x 8 matrices of bf16; lane l gives the address of row l % 8 of matrix l / 8. Lane 4 g + t receives in r[i]
// the elements (g, 2t) and (g, 2t + 1) of matrix i.
__device__ __forceinline__ void load_matrix_x4(unsigned (&r)[4], unsigned address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

// As load_matrix_x4, transposed: lane 4 g + t receives in r[i] the elements (2t, g) and (2t + 1, g) of matrix i.
__device__ __forceinline__ void load_matrix_x4_transposed(unsigned (&r)[4], unsigned address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address));
}

// c += a b for one [16 x 16] by [16 x 8] block, products of bf16 summed in f32.
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// 2^x to about 2 ulp in one instruction; 0 for -infinity.
__device__ __forceinline__ float exp2_approximate(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
