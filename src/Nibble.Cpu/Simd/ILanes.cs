using System.Runtime.Intrinsics;

namespace Nibble.Cpu.Simd;

/// <summary>A vector of floats of some width, so that one kernel source serves every instruction set.</summary>
/// <typeparam name="TVector">The vector.</typeparam>
internal unsafe interface ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>Floats in a vector.</summary>
    static abstract int Count { get; }

    /// <summary>One value everywhere.</summary>
    static abstract TVector Create(float value);

    /// <summary>Reads <see cref="Count"/> floats.</summary>
    static abstract TVector Load(float* source);

    /// <summary>Widens <see cref="Count"/> bfloat16 values.</summary>
    static abstract TVector LoadBf16(ushort* source);

    /// <summary>Writes <see cref="Count"/> floats.</summary>
    static abstract void Store(TVector value, float* destination);

    /// <summary>a + b.</summary>
    static abstract TVector Add(TVector a, TVector b);

    /// <summary>a - b.</summary>
    static abstract TVector Subtract(TVector a, TVector b);

    /// <summary>a · b.</summary>
    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a / b.</summary>
    static abstract TVector Divide(TVector a, TVector b);

    /// <summary>a · b + c with one rounding where the machine has it.</summary>
    static abstract TVector Fma(TVector a, TVector b, TVector c);

    /// <summary>The larger; when either is NaN, b.</summary>
    static abstract TVector Max(TVector a, TVector b);

    /// <summary>The smaller; when either is NaN, b.</summary>
    static abstract TVector Min(TVector a, TVector b);

    /// <summary>Square root.</summary>
    static abstract TVector Sqrt(TVector a);

    /// <summary>Adds n to the binary exponent of each lane, n = the low bits of
    /// <paramref name="shifted"/>'s mantissa.</summary>
    static abstract TVector ScaleExponent(TVector value, TVector shifted);

    /// <summary>Lanes of <paramref name="value"/> where a is not below b, 0 elsewhere.</summary>
    static abstract TVector ZeroWhereLess(TVector a, TVector b, TVector value);

    /// <summary>Lanes of <paramref name="finite"/> where <paramref name="test"/> is a finite number, else of
    /// <paramref name="other"/>.</summary>
    static abstract TVector WhereFinite(TVector test, TVector finite, TVector other);

    /// <summary>Σ of the lanes, pairwise.</summary>
    static abstract float Sum(TVector a);

    /// <summary>The sums of four vectors, each pairwise.</summary>
    static abstract Vector128<float> Sum(TVector a, TVector b, TVector c, TVector d);

    /// <summary>The largest lane.</summary>
    static abstract float Max(TVector a);
}
