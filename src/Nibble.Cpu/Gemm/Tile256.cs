using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// The register tile of Vector256: up to 6 rows of A against one or two vectors (8 or 16 columns) of B.
/// 12 accumulators, two columns of B and one broadcast: 15 of the 16 registers.
/// The sizes of <c>TRows</c> and <c>TVectors</c> are constants to the compiler, so each pair is compiled to its own
/// straight line and the rows it lacks vanish.
/// </summary>
internal static unsafe class Tile256
{
    /// <summary>Most rows of a tile.</summary>
    public const int MaxRows = 6;

    /// <inheritdoc cref="TileKernels"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TRows, TVectors>(
        float* a, nint aStep, float* b, nint bStep, nint k, float alpha, float* init, nint initStep,
        float* c, nint cStep)
        where TRows : unmanaged
        where TVectors : unmanaged
    {
        var b1 = Vector256<float>.Zero;
        Vector256<float> r0 = default, s0 = default;
        Vector256<float> r1 = default, s1 = default;
        Vector256<float> r2 = default, s2 = default;
        Vector256<float> r3 = default, s3 = default;
        Vector256<float> r4 = default, s4 = default;
        Vector256<float> r5 = default, s5 = default;
        for (; k > 0; k--)
        {
            var b0 = Vector256.Load(b);
            if (sizeof(TVectors) > 1)
            {
                b1 = Vector256.Load(b + 8);
            }

            var a0 = Vector256.Create(a[0]);
            r0 = Vector256.MultiplyAddEstimate(a0, b0, r0);
            s0 = sizeof(TVectors) > 1 ? Vector256.MultiplyAddEstimate(a0, b1, s0) : s0;

            if (sizeof(TRows) > 1)
            {
                var a1 = Vector256.Create(a[1]);
                r1 = Vector256.MultiplyAddEstimate(a1, b0, r1);
                s1 = sizeof(TVectors) > 1 ? Vector256.MultiplyAddEstimate(a1, b1, s1) : s1;
            }

            if (sizeof(TRows) > 2)
            {
                var a2 = Vector256.Create(a[2]);
                r2 = Vector256.MultiplyAddEstimate(a2, b0, r2);
                s2 = sizeof(TVectors) > 1 ? Vector256.MultiplyAddEstimate(a2, b1, s2) : s2;
            }

            if (sizeof(TRows) > 3)
            {
                var a3 = Vector256.Create(a[3]);
                r3 = Vector256.MultiplyAddEstimate(a3, b0, r3);
                s3 = sizeof(TVectors) > 1 ? Vector256.MultiplyAddEstimate(a3, b1, s3) : s3;
            }

            if (sizeof(TRows) > 4)
            {
                var a4 = Vector256.Create(a[4]);
                r4 = Vector256.MultiplyAddEstimate(a4, b0, r4);
                s4 = sizeof(TVectors) > 1 ? Vector256.MultiplyAddEstimate(a4, b1, s4) : s4;
            }

            if (sizeof(TRows) > 5)
            {
                var a5 = Vector256.Create(a[5]);
                r5 = Vector256.MultiplyAddEstimate(a5, b0, r5);
                s5 = sizeof(TVectors) > 1 ? Vector256.MultiplyAddEstimate(a5, b1, s5) : s5;
            }

            a += aStep;
            b += bStep;
        }

        var scale = Vector256.Create(alpha);
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
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store<TVectors>(
        Vector256<float> scale, Vector256<float> r, Vector256<float> s, float* init, float* c)
        where TVectors : unmanaged
    {
        Vector256.MultiplyAddEstimate(scale, r, Vector256.Load(init)).Store(c);
        if (sizeof(TVectors) > 1)
        {
            Vector256.MultiplyAddEstimate(scale, s, Vector256.Load(init + 8)).Store(c + 8);
        }
    }
}
