using System.Numerics;
using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Models.Quantization;

/// <summary>Refuses weights that are not finite before they reach the device.</summary>
internal static class FiniteScan
{
    /// <summary>Checks a run of values.</summary>
    /// <param name="bytes">Little-endian values.</param>
    /// <param name="type">F32, BF16 or F16.</param>
    /// <param name="file">For the message.</param>
    /// <param name="tensor">For the message.</param>
    /// <param name="first">Index of the first value in its tensor, for the message.</param>
    /// <exception cref="ModelFormatException">A value is NaN or infinite.</exception>
    public static void Require(ReadOnlySpan<byte> bytes, DType type, string file, string tensor, long first)
    {
        var index = type == DType.F32
            ? Find(MemoryMarshal.Cast<byte, uint>(bytes), 0x7F800000u)
            : Find(MemoryMarshal.Cast<byte, ushort>(bytes), type == DType.BF16 ? (ushort)0x7F80 : (ushort)0x7C00);
        if (index >= 0)
        {
            throw new ModelFormatException(
                $"{file}: tensor {tensor}: expected finite values, found NaN or infinity at element {first + index}. "
                + "The file is damaged or was saved from a diverged run.");
        }
    }

    // A value is not finite exactly when its exponent bits are all ones.
    private static int Find<T>(ReadOnlySpan<T> values, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        var mask = new Vector<T>(exponent);
        var i = 0;
        for (; i <= values.Length - Vector<T>.Count; i += Vector<T>.Count)
        {
            if (Vector.EqualsAny(new Vector<T>(values[i..]) & mask, mask))
            {
                break;
            }
        }

        for (; i < values.Length; i++)
        {
            if ((values[i] & exponent) == exponent)
            {
                return i;
            }
        }

        return -1;
    }
}
