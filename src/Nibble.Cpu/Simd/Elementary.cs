using System.Runtime.CompilerServices;

namespace Nibble.Cpu.Simd;

/// <summary>Elementary functions over vectors.</summary>
internal static class Elementary
{
    /// <summary>
    /// e^x to 2 ulp: x = n ln 2 + r with |r| ≤ ln 2 / 2, Taylor polynomial of degree 7 in r (its error is 0.05 ulp),
    /// exponent add. Below the smallest normal result 0, above the largest the largest; NaN stays NaN.
    /// </summary>
    /// <param name="x">Arguments.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Exp<TLanes, TVector>(TVector x)
        where TLanes : ILanes<TVector>
        where TVector : unmanaged
    {
        const float Smallest = -87.33f;
        const float Largest = 88.72f;

        // Adding 1.5 · 2^23 rounds to an integer and leaves it in the low mantissa bits.
        const float Shifter = 12582912f;

        // ln 2 in two parts, the first short enough that n times it is exact.
        const float Ln2High = 0.693359375f;
        const float Ln2Low = -2.12194440e-4f;

        var clamped = TLanes.Max(TLanes.Create(Smallest), TLanes.Min(TLanes.Create(Largest), x));
        var shifted = TLanes.Fma(clamped, TLanes.Create(1.44269504f), TLanes.Create(Shifter));
        var n = TLanes.Subtract(shifted, TLanes.Create(Shifter));
        var r = TLanes.Fma(n, TLanes.Create(-Ln2High), clamped);
        r = TLanes.Fma(n, TLanes.Create(-Ln2Low), r);
        var p = TLanes.Fma(r, TLanes.Create(1f / 5040), TLanes.Create(1f / 720));
        p = TLanes.Fma(p, r, TLanes.Create(1f / 120));
        p = TLanes.Fma(p, r, TLanes.Create(1f / 24));
        p = TLanes.Fma(p, r, TLanes.Create(1f / 6));
        p = TLanes.Fma(p, r, TLanes.Create(0.5f));
        p = TLanes.Fma(p, r, TLanes.Create(1f));
        p = TLanes.Fma(p, r, TLanes.Create(1f));
        return TLanes.ZeroWhereLess(x, TLanes.Create(Smallest), TLanes.ScaleExponent(p, shifted));
    }
}
