using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Nibble.Tensors;

namespace Nibble.Cpu;

/// <summary>Which elements survive dropout, by the counters of <see cref="Philox"/>.</summary>
internal static unsafe class PhiloxMask
{
    /// <summary>Most elements of one call.</summary>
    public const int Piece = 1024;

    /// <summary>Writes 1 for a survivor, 0 for the rest.</summary>
    /// <param name="mask">Floats.</param>
    /// <param name="count">How many.</param>
    /// <param name="first">Index of the first element in the optimizer step.</param>
    /// <param name="probability">Chance to be dropped.</param>
    /// <param name="key">Philox key.</param>
    /// <param name="stream">Philox stream.</param>
    public static void Fill(float* mask, int count, long first, float probability, ulong key, ulong stream)
    {
        var i = 0;
        if (Avx512F.IsSupported)
        {
            // Up to the first whole counter one by one, then eight counters, 32 elements, at a time.
            FillScalar(mask, ref i, (int)Math.Min(count, -first & 3), first, probability, key, stream);
            FillVectors(mask, ref i, count, first, probability, key, stream);
        }

        FillScalar(mask, ref i, count, first, probability, key, stream);
    }

    private static void FillScalar(
        float* mask, ref int i, int count, long first, float probability, ulong key, ulong stream)
    {
        while (i < count)
        {
            var index = first + i;
            var (a, b, c, d) = Philox.Words(key, (ulong)(index >> 2), stream);
            for (var word = (int)(index & 3); word < 4 && i < count; word++, i++)
            {
                var bits = word switch { 0 => a, 1 => b, 2 => c, _ => d };
                mask[i] = Philox.Uniform(bits) >= probability ? 1 : 0;
            }
        }
    }

    // Lane n of eight 64-bit lanes runs counter n; every 32-bit word sits in the low half of its lane, where
    // the widening multiplication reads it.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FillVectors(
        float* mask, ref int i, int count, long first, float probability, ulong key, ulong stream)
    {
        var low = Vector512.Create(0xFFFFFFFFul);
        var (factor0, factor1) = (Vector512.Create(0xD2511F53ul).AsUInt32(), Vector512.Create(0xCD9E8D57ul).AsUInt32());
        for (; i <= count - 32; i += 32)
        {
            var counter = Vector512.Create((ulong)(first + i) >> 2) + Vector512.Create(0ul, 1, 2, 3, 4, 5, 6, 7);
            var (x, y) = (counter & low, counter >>> 32);
            var (z, w) = (Vector512.Create(stream & 0xFFFFFFFF), Vector512.Create(stream >> 32));
            var (k0, k1) = ((uint)key, (uint)(key >> 32));
            for (var round = 0; round < 10; round++)
            {
                var a = Avx512F.Multiply(factor0, x.AsUInt32());
                var b = Avx512F.Multiply(factor1, z.AsUInt32());
                (x, z) = ((b >>> 32) ^ y ^ Vector512.Create((ulong)k0), (a >>> 32) ^ w ^ Vector512.Create((ulong)k1));
                (y, w) = (b & low, a & low);
                k0 += 0x9E3779B9;
                k1 += 0xBB67AE85;
            }

            // (x, y) and (z, w) of a counter are neighbours; unpacking leaves counters
            // 0 2 4 6 and 1 3 5 7 in 128-bit parts.
            var (xy, zw) = (x | (y << 32), z | (w << 32));
            var even = Survivors(Avx512F.UnpackLow(xy, zw).AsUInt32(), probability);
            var odd = Survivors(Avx512F.UnpackHigh(xy, zw).AsUInt32(), probability);
            var (first01, last01) = (Avx512F.Shuffle4x128(even, odd, 0x44), Avx512F.Shuffle4x128(even, odd, 0xEE));
            Avx512F.Shuffle4x128(first01, first01, 0xD8).Store(mask + i);
            Avx512F.Shuffle4x128(last01, last01, 0xD8).Store(mask + i + 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Survivors(Vector512<uint> words, float probability)
    {
        var uniform = Vector512.ConvertToSingle((words >>> 8).AsInt32()) * Vector512.Create(1f / (1 << 24));
        return Vector512.ConditionalSelect(
            Vector512.GreaterThanOrEqual(uniform, Vector512.Create(probability)), Vector512<float>.One,
            Vector512<float>.Zero);
    }
}
