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
}
