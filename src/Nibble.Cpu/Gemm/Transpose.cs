using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// Transposes a strip of a row-major matrix: <c>d[c · dStep + r] = s[r · sStep + c]</c> for r below <c>lanes</c>,
/// c below cols; rows from <c>rows</c> on are written as zeros. Writes whole vectors in ascending c, so with
/// dStep below the lanes a later column repairs what an earlier one spilled, and the strip must have
/// lanes - dStep elements of slack behind it.
/// </summary>
internal static unsafe class Transpose
{
    /// <summary>Any width.</summary>
    public static void Scalar(float* s, nint sStep, int rows, int cols, float* d, nint dStep, int lanes)
    {
        for (var c = 0; c < cols; c++)
        {
            for (var r = 0; r < lanes; r++)
            {
                d[c * dStep + r] = r < rows ? s[r * sStep + c] : 0;
            }
        }
    }

    /// <summary>8 rows: unpack pairs, shuffle quads, exchange halves.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Avx256(float* s, nint sStep, int rows, int cols, float* d, nint dStep)
    {
        float* zeros = stackalloc float[8];
        new Span<float>(zeros, 8).Clear();
        var c = 0;
        for (; c + 8 <= cols; c += 8, d += 8 * dStep)
        {
            var p = s + c;
            var r0 = Vector256.Load(p);
            var r1 = Vector256.Load(rows > 1 ? p + sStep : zeros);
            var r2 = Vector256.Load(rows > 2 ? p + 2 * sStep : zeros);
            var r3 = Vector256.Load(rows > 3 ? p + 3 * sStep : zeros);
            var r4 = Vector256.Load(rows > 4 ? p + 4 * sStep : zeros);
            var r5 = Vector256.Load(rows > 5 ? p + 5 * sStep : zeros);
            var r6 = Vector256.Load(rows > 6 ? p + 6 * sStep : zeros);
            var r7 = Vector256.Load(rows > 7 ? p + 7 * sStep : zeros);
            var (a0, a1) = (Avx.UnpackLow(r0, r1), Avx.UnpackHigh(r0, r1));
            var (a2, a3) = (Avx.UnpackLow(r2, r3), Avx.UnpackHigh(r2, r3));
            var (a4, a5) = (Avx.UnpackLow(r4, r5), Avx.UnpackHigh(r4, r5));
            var (a6, a7) = (Avx.UnpackLow(r6, r7), Avx.UnpackHigh(r6, r7));
            var (b0, b1) = (Avx.Shuffle(a0, a2, 0x44), Avx.Shuffle(a0, a2, 0xEE));
            var (b2, b3) = (Avx.Shuffle(a1, a3, 0x44), Avx.Shuffle(a1, a3, 0xEE));
            var (b4, b5) = (Avx.Shuffle(a4, a6, 0x44), Avx.Shuffle(a4, a6, 0xEE));
            var (b6, b7) = (Avx.Shuffle(a5, a7, 0x44), Avx.Shuffle(a5, a7, 0xEE));
            Avx.Permute2x128(b0, b4, 0x20).Store(d);
            Avx.Permute2x128(b1, b5, 0x20).Store(d + dStep);
            Avx.Permute2x128(b2, b6, 0x20).Store(d + 2 * dStep);
            Avx.Permute2x128(b3, b7, 0x20).Store(d + 3 * dStep);
            Avx.Permute2x128(b0, b4, 0x31).Store(d + 4 * dStep);
            Avx.Permute2x128(b1, b5, 0x31).Store(d + 5 * dStep);
            Avx.Permute2x128(b2, b6, 0x31).Store(d + 6 * dStep);
            Avx.Permute2x128(b3, b7, 0x31).Store(d + 7 * dStep);
        }

        Scalar(s + c, sStep, rows, cols - c, d, dStep, 8);
    }

    /// <summary>16 rows: unpack pairs, unpack quads, exchange 128-bit parts twice.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Avx512(float* s, nint sStep, int rows, int cols, float* d, nint dStep)
    {
        float* zeros = stackalloc float[16];
        new Span<float>(zeros, 16).Clear();
        var c = 0;
        for (; c + 16 <= cols; c += 16, d += 16 * dStep)
        {
            var p = s + c;
            var (q0, q1, q2, q3) = Quads(
                Vector512.Load(p), Vector512.Load(rows > 1 ? p + sStep : zeros),
                Vector512.Load(rows > 2 ? p + 2 * sStep : zeros), Vector512.Load(rows > 3 ? p + 3 * sStep : zeros));
            var (q4, q5, q6, q7) = Quads(
                Vector512.Load(rows > 4 ? p + 4 * sStep : zeros), Vector512.Load(rows > 5 ? p + 5 * sStep : zeros),
                Vector512.Load(rows > 6 ? p + 6 * sStep : zeros), Vector512.Load(rows > 7 ? p + 7 * sStep : zeros));
            var (q8, q9, qa, qb) = Quads(
                Vector512.Load(rows > 8 ? p + 8 * sStep : zeros), Vector512.Load(rows > 9 ? p + 9 * sStep : zeros),
                Vector512.Load(rows > 10 ? p + 10 * sStep : zeros), Vector512.Load(rows > 11 ? p + 11 * sStep : zeros));
            var (qc, qd, qe, qf) = Quads(
                Vector512.Load(rows > 12 ? p + 12 * sStep : zeros), Vector512.Load(rows > 13 ? p + 13 * sStep : zeros),
                Vector512.Load(rows > 14 ? p + 14 * sStep : zeros), Vector512.Load(rows > 15 ? p + 15 * sStep : zeros));
            var (c0, c4, c8, cc) = Columns(q0, q4, q8, qc);
            var (c1, c5, c9, cd) = Columns(q1, q5, q9, qd);
            var (c2, c6, ca, ce) = Columns(q2, q6, qa, qe);
            var (c3, c7, cb, cf) = Columns(q3, q7, qb, qf);
            c0.Store(d);
            c1.Store(d + dStep);
            c2.Store(d + 2 * dStep);
            c3.Store(d + 3 * dStep);
            c4.Store(d + 4 * dStep);
            c5.Store(d + 5 * dStep);
            c6.Store(d + 6 * dStep);
            c7.Store(d + 7 * dStep);
            c8.Store(d + 8 * dStep);
            c9.Store(d + 9 * dStep);
            ca.Store(d + 10 * dStep);
            cb.Store(d + 11 * dStep);
            cc.Store(d + 12 * dStep);
            cd.Store(d + 13 * dStep);
            ce.Store(d + 14 * dStep);
            cf.Store(d + 15 * dStep);
        }

        Scalar(s + c, sStep, rows, cols - c, d, dStep, 16);
    }

    // Four rows → four vectors whose 128-bit part g holds, for column 4 g + i, the four rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> Q0, Vector512<float> Q1, Vector512<float> Q2, Vector512<float> Q3) Quads(
        Vector512<float> r0, Vector512<float> r1, Vector512<float> r2, Vector512<float> r3)
    {
        var (a0, a1) = (Avx512F.UnpackLow(r0, r1).AsDouble(), Avx512F.UnpackHigh(r0, r1).AsDouble());
        var (a2, a3) = (Avx512F.UnpackLow(r2, r3).AsDouble(), Avx512F.UnpackHigh(r2, r3).AsDouble());
        return (
            Avx512F.UnpackLow(a0, a2).AsSingle(), Avx512F.UnpackHigh(a0, a2).AsSingle(),
            Avx512F.UnpackLow(a1, a3).AsSingle(), Avx512F.UnpackHigh(a1, a3).AsSingle());
    }

    // Columns i, 4 + i, 8 + i, 12 + i of all sixteen rows: part g of each of the four row groups.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector512<float> C0, Vector512<float> C4, Vector512<float> C8, Vector512<float> Cc) Columns(
        Vector512<float> x, Vector512<float> y, Vector512<float> z, Vector512<float> w)
    {
        var (xy02, xy13) = (Avx512F.Shuffle4x128(x, y, 0x88), Avx512F.Shuffle4x128(x, y, 0xDD));
        var (zw02, zw13) = (Avx512F.Shuffle4x128(z, w, 0x88), Avx512F.Shuffle4x128(z, w, 0xDD));
        return (
            Avx512F.Shuffle4x128(xy02, zw02, 0x88), Avx512F.Shuffle4x128(xy13, zw13, 0x88),
            Avx512F.Shuffle4x128(xy02, zw02, 0xDD), Avx512F.Shuffle4x128(xy13, zw13, 0xDD));
    }
}
