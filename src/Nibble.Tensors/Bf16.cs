using System.Runtime.CompilerServices;

namespace Nibble.Tensors;

/// <summary>bfloat16 ↔ binary32, round to nearest even, NaN stays NaN.</summary>
public static class Bf16
{
    /// <summary>The nearest bfloat16, as its 16 bits.</summary>
    /// <param name="value">Any binary32.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value)
            ? (ushort)((bits >> 16) | 0x40)
            : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>The exact value of a bfloat16.</summary>
    /// <param name="bits">Its 16 bits.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Widens a run of values.</summary>
    /// <param name="source">bfloat16 bits.</param>
    /// <param name="destination">At least as long.</param>
    public static void ToSingle(ReadOnlySpan<ushort> source, Span<float> destination)
    {
        for (var i = 0; i < source.Length; i++)
        {
            destination[i] = ToSingle(source[i]);
        }
    }

    /// <summary>Rounds a run of values.</summary>
    /// <param name="source">binary32 values.</param>
    /// <param name="destination">At least as long.</param>
    public static void FromSingle(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        for (var i = 0; i < source.Length; i++)
        {
            destination[i] = FromSingle(source[i]);
        }
    }
}
