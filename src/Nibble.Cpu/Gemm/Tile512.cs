using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// The register tile of Vector512: up to 14 rows of A against one or two vectors (16 or 32 columns) of B.
/// 28 accumulators, two columns of B and one broadcast: 31 of the 32 registers.
/// The sizes of <c>TRows</c> and <c>TVectors</c> are constants to the compiler, so each pair is compiled to its own
/// straight line and the rows it lacks vanish.
/// </summary>
internal static unsafe class Tile512
{
    /// <summary>Most rows of a tile.</summary>
    public const int MaxRows = 14;

    /// <inheritdoc cref="TileKernels"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TRows, TVectors>(
        float* a, nint aStep, float* b, nint bStep, nint k, float alpha, float* init, nint initStep,
        float* c, nint cStep)
        where TRows : unmanaged
        where TVectors : unmanaged
    {
        var b1 = Vector512<float>.Zero;
        Vector512<float> r0 = default, s0 = default;
        Vector512<float> r1 = default, s1 = default;
        Vector512<float> r2 = default, s2 = default;
        Vector512<float> r3 = default, s3 = default;
        Vector512<float> r4 = default, s4 = default;
        Vector512<float> r5 = default, s5 = default;
        Vector512<float> r6 = default, s6 = default;
        Vector512<float> r7 = default, s7 = default;
        Vector512<float> r8 = default, s8 = default;
        Vector512<float> r9 = default, s9 = default;
        Vector512<float> r10 = default, s10 = default;
        Vector512<float> r11 = default, s11 = default;
        Vector512<float> r12 = default, s12 = default;
        Vector512<float> r13 = default, s13 = default;
        for (; k > 0; k--)
        {
            var b0 = Vector512.Load(b);
            if (sizeof(TVectors) > 1)
            {
                b1 = Vector512.Load(b + 16);
            }

            var a0 = Vector512.Create(a[0]);
            r0 = Vector512.MultiplyAddEstimate(a0, b0, r0);
            s0 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a0, b1, s0) : s0;

            if (sizeof(TRows) > 1)
            {
                var a1 = Vector512.Create(a[1]);
                r1 = Vector512.MultiplyAddEstimate(a1, b0, r1);
                s1 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a1, b1, s1) : s1;
            }

            if (sizeof(TRows) > 2)
            {
                var a2 = Vector512.Create(a[2]);
                r2 = Vector512.MultiplyAddEstimate(a2, b0, r2);
                s2 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a2, b1, s2) : s2;
            }

            if (sizeof(TRows) > 3)
            {
                var a3 = Vector512.Create(a[3]);
                r3 = Vector512.MultiplyAddEstimate(a3, b0, r3);
                s3 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a3, b1, s3) : s3;
            }

            if (sizeof(TRows) > 4)
            {
                var a4 = Vector512.Create(a[4]);
                r4 = Vector512.MultiplyAddEstimate(a4, b0, r4);
                s4 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a4, b1, s4) : s4;
            }

            if (sizeof(TRows) > 5)
            {
                var a5 = Vector512.Create(a[5]);
                r5 = Vector512.MultiplyAddEstimate(a5, b0, r5);
                s5 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a5, b1, s5) : s5;
            }

            if (sizeof(TRows) > 6)
            {
                var a6 = Vector512.Create(a[6]);
                r6 = Vector512.MultiplyAddEstimate(a6, b0, r6);
                s6 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a6, b1, s6) : s6;
            }

            if (sizeof(TRows) > 7)
            {
                var a7 = Vector512.Create(a[7]);
                r7 = Vector512.MultiplyAddEstimate(a7, b0, r7);
                s7 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a7, b1, s7) : s7;
            }

            if (sizeof(TRows) > 8)
            {
                var a8 = Vector512.Create(a[8]);
                r8 = Vector512.MultiplyAddEstimate(a8, b0, r8);
                s8 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a8, b1, s8) : s8;
            }

            if (sizeof(TRows) > 9)
            {
                var a9 = Vector512.Create(a[9]);
                r9 = Vector512.MultiplyAddEstimate(a9, b0, r9);
                s9 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a9, b1, s9) : s9;
            }

            if (sizeof(TRows) > 10)
            {
                var a10 = Vector512.Create(a[10]);
                r10 = Vector512.MultiplyAddEstimate(a10, b0, r10);
                s10 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a10, b1, s10) : s10;
            }

            if (sizeof(TRows) > 11)
            {
                var a11 = Vector512.Create(a[11]);
                r11 = Vector512.MultiplyAddEstimate(a11, b0, r11);
                s11 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a11, b1, s11) : s11;
            }

            if (sizeof(TRows) > 12)
            {
                var a12 = Vector512.Create(a[12]);
                r12 = Vector512.MultiplyAddEstimate(a12, b0, r12);
                s12 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a12, b1, s12) : s12;
            }

            if (sizeof(TRows) > 13)
            {
                var a13 = Vector512.Create(a[13]);
                r13 = Vector512.MultiplyAddEstimate(a13, b0, r13);
                s13 = sizeof(TVectors) > 1 ? Vector512.MultiplyAddEstimate(a13, b1, s13) : s13;
            }

            a += aStep;
            b += bStep;
        }

        var scale = Vector512.Create(alpha);
        Store<TVectors>(scale, r0, s0, init, c);

        if (sizeof(TRows) > 1)
        {
            Store<TVectors>(scale, r1, s1, init + initStep, c + cStep);
        }

        if (sizeof(TRows) > 2)
        {
            Store<TVectors>(scale, r2, s2, init + 2 * initStep, c + 2 * cStep);
        }

        if (sizeof(TRows) > 3)
        {
            Store<TVectors>(scale, r3, s3, init + 3 * initStep, c + 3 * cStep);
        }

        if (sizeof(TRows) > 4)
        {
            Store<TVectors>(scale, r4, s4, init + 4 * initStep, c + 4 * cStep);
        }

        if (sizeof(TRows) > 5)
        {
            Store<TVectors>(scale, r5, s5, init + 5 * initStep, c + 5 * cStep);
        }

        if (sizeof(TRows) > 6)
        {
            Store<TVectors>(scale, r6, s6, init + 6 * initStep, c + 6 * cStep);
        }

        if (sizeof(TRows) > 7)
        {
            Store<TVectors>(scale, r7, s7, init + 7 * initStep, c + 7 * cStep);
        }

        if (sizeof(TRows) > 8)
        {
            Store<TVectors>(scale, r8, s8, init + 8 * initStep, c + 8 * cStep);
        }

        if (sizeof(TRows) > 9)
        {
            Store<TVectors>(scale, r9, s9, init + 9 * initStep, c + 9 * cStep);
        }

        if (sizeof(TRows) > 10)
        {
            Store<TVectors>(scale, r10, s10, init + 10 * initStep, c + 10 * cStep);
        }

        if (sizeof(TRows) > 11)
        {
            Store<TVectors>(scale, r11, s11, init + 11 * initStep, c + 11 * cStep);
        }

        if (sizeof(TRows) > 12)
        {
            Store<TVectors>(scale, r12, s12, init + 12 * initStep, c + 12 * cStep);
        }

        if (sizeof(TRows) > 13)
        {
            Store<TVectors>(scale, r13, s13, init + 13 * initStep, c + 13 * cStep);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVectors>(
        Vector512<float> scale, Vector512<float> r, Vector512<float> s, float* init, float* c)
        where TVectors : unmanaged
    {
        Vector512.MultiplyAddEstimate(scale, r, Vector512.Load(init)).Store(c);
        if (sizeof(TVectors) > 1)
        {
            Vector512.MultiplyAddEstimate(scale, s, Vector512.Load(init + 16)).Store(c + 16);
        }
    }
}
