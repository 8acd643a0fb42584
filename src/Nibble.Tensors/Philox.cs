using System.Runtime.CompilerServices;

namespace Nibble.Tensors;

/// <summary>
/// Philox4x32-10: four random words as a pure function of key and counter, the same on every backend.
/// Source: J. K. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3" (SC 2011), table 2 and section 3.3.
/// </summary>
public static class Philox
{
    /// <summary>Ten rounds over one counter.</summary>
    /// <param name="key">64-bit key.</param>
    /// <param name="counter">Low 64 bits of the counter.</param>
    /// <param name="stream">High 64 bits of the counter.</param>
    /// <returns>Four independent words.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (uint X, uint Y, uint Z, uint W) Words(ulong key, ulong counter, ulong stream)
    {
        var (x, y, z, w) = ((uint)counter, (uint)(counter >> 32), (uint)stream, (uint)(stream >> 32));
        var (k0, k1) = ((uint)key, (uint)(key >> 32));
        for (var round = 0; round < 10; round++)
        {
            var a = (ulong)0xD2511F53 * x;
            var b = (ulong)0xCD9E8D57 * z;
            (x, y, z, w) = ((uint)(b >> 32) ^ y ^ k0, (uint)b, (uint)(a >> 32) ^ w ^ k1, (uint)a);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }

        return (x, y, z, w);
    }

    /// <summary>A word as a number in [0, 1) with 24 bits.</summary>
    /// <param name="word">Random word.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Uniform(uint word) => (word >> 8) * (1f / (1 << 24));
}
