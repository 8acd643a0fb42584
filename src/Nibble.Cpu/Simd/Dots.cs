using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Nibble.Cpu.Gemm;

namespace Nibble.Cpu;

internal abstract unsafe partial class RowKernels
{
    /// <summary>Rows of each operand of <see cref="Dots"/>.</summary>
    public const int DotTile = 4;

    /// <summary><c>sums[4 i + j] = Σ_k a[i · aStep + k] · b[j · bStep + k]</c> for i
    /// below rows and j below 4.</summary>
    /// <param name="rows">1 … 4.</param>
    /// <param name="a">Rows.</param>
    /// <param name="aStep">Floats between them.</param>
    /// <param name="b">Four rows.</param>
    /// <param name="bStep">Floats between them.</param>
    /// <param name="k">Terms.</param>
    /// <param name="sums">16 floats.</param>
    public abstract void Dots(int rows, float* a, nint aStep, float* b, nint bStep, int k, float* sums);

    /// <summary>Copies rows of floats, whole vectors at a time: reads and writes up to a vector past
    /// <paramref name="cols"/>.</summary>
    /// <param name="s">Source.</param>
    /// <param name="sStep">Floats between source rows.</param>
    /// <param name="cols">Floats of a row.</param>
    /// <param name="rows">Rows, copied in ascending order.</param>
    /// <param name="d">Destination.</param>
    /// <param name="dStep">Floats between destination rows.</param>
    public abstract void CopyRows(float* s, nint sStep, int cols, int rows, float* d, nint dStep);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    public override void Dots(int rows, float* a, nint aStep, float* b, nint bStep, int k, float* sums)
    {
        switch (rows)
        {
            case 1:
                Dots<Count.C1>(a, aStep, b, bStep, k, sums);
                break;
            case 2:
                Dots<Count.C2>(a, aStep, b, bStep, k, sums);
                break;
            case 3:
                Dots<Count.C3>(a, aStep, b, bStep, k, sums);
                break;
            default:
                Dots<Count.C4>(a, aStep, b, bStep, k, sums);
                break;
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void CopyRows(float* s, nint sStep, int cols, int rows, float* d, nint dStep)
    {
        for (; rows > 0; rows--, s += sStep, d += dStep)
        {
            for (var i = 0; i < cols; i += TLanes.Count)
            {
                TLanes.Store(TLanes.Load(s + i), d + i);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dots<TRows>(float* a, nint aStep, float* b, nint bStep, int k, float* sums)
        where TRows : unmanaged
    {
        TVector a0 = default, a1 = default, a2 = default, a3 = default;
        TVector s00 = default, s01 = default, s02 = default, s03 = default;
        TVector s10 = default, s11 = default, s12 = default, s13 = default;
        TVector s20 = default, s21 = default, s22 = default, s23 = default;
        TVector s30 = default, s31 = default, s32 = default, s33 = default;
        var i = 0;
        for (; i <= k - TLanes.Count; i += TLanes.Count)
        {
            a0 = TLanes.Load(a + i);
            a1 = sizeof(TRows) > 1 ? TLanes.Load(a + aStep + i) : a1;
            a2 = sizeof(TRows) > 2 ? TLanes.Load(a + 2 * aStep + i) : a2;
            a3 = sizeof(TRows) > 3 ? TLanes.Load(a + 3 * aStep + i) : a3;
            Step<TRows>(a0, a1, a2, a3, TLanes.Load(b + i), ref s00, ref s10, ref s20, ref s30);
            Step<TRows>(a0, a1, a2, a3, TLanes.Load(b + bStep + i), ref s01, ref s11, ref s21, ref s31);
            Step<TRows>(a0, a1, a2, a3, TLanes.Load(b + 2 * bStep + i), ref s02, ref s12, ref s22, ref s32);
            Step<TRows>(a0, a1, a2, a3, TLanes.Load(b + 3 * bStep + i), ref s03, ref s13, ref s23, ref s33);
        }

        TLanes.Sum(s00, s01, s02, s03).Store(sums);
        if (sizeof(TRows) > 1)
        {
            TLanes.Sum(s10, s11, s12, s13).Store(sums + 4);
        }

        if (sizeof(TRows) > 2)
        {
            TLanes.Sum(s20, s21, s22, s23).Store(sums + 8);
        }

        if (sizeof(TRows) > 3)
        {
            TLanes.Sum(s30, s31, s32, s33).Store(sums + 12);
        }

        for (; i < k; i++)
        {
            for (var row = 0; row < sizeof(TRows); row++)
            {
                for (var col = 0; col < DotTile; col++)
                {
                    sums[4 * row + col] += a[row * aStep + i] * b[col * bStep + i];
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Step<TRows>(
        TVector a0, TVector a1, TVector a2, TVector a3, TVector b, ref TVector s0, ref TVector s1, ref TVector s2,
        ref TVector s3)
        where TRows : unmanaged
    {
        s0 = TLanes.Fma(a0, b, s0);
        s1 = sizeof(TRows) > 1 ? TLanes.Fma(a1, b, s1) : s1;
        s2 = sizeof(TRows) > 2 ? TLanes.Fma(a2, b, s2) : s2;
        s3 = sizeof(TRows) > 3 ? TLanes.Fma(a3, b, s3) : s3;
    }
}
