using Nibble.Tensors;

namespace Nibble.Cpu;

/// <summary>Nearest entry of a dynamic 8-bit map, by bitsandbytes' search (csrc/kernels.cu, dQuantize).</summary>
internal sealed class DynamicCode
{
    // Values up to 1 by sign and the upper 15 bits below it: at that fineness no bucket holds two midpoints.
    private const int BucketShift = 16;
    private const int Buckets = (0x3F800000 >> BucketShift) + 1;

    private readonly float[] _map;
    private readonly float[] _bounds;

    // Midpoints below the least value of a bucket; buckets of negative values come second.
    private readonly byte[] _below = new byte[2 * Buckets];

    private DynamicCode(ReadOnlySpan<float> map, ReadOnlySpan<float> bounds)
    {
        // A sentinel that no value exceeds ends every look at the next midpoint.
        (_map, _bounds) = (map.ToArray(), [.. bounds, float.PositiveInfinity]);
        for (var bucket = 0; bucket < Buckets; bucket++)
        {
            _below[bucket] = Below(BitConverter.Int32BitsToSingle(bucket << BucketShift));
            _below[Buckets + bucket] =
                Below(-BitConverter.Int32BitsToSingle((bucket << BucketShift) | ((1 << BucketShift) - 1)));
        }

        byte Below(float value)
        {
            var count = 0;
            while (value > _bounds[count])
            {
                count++;
            }

            return (byte)count;
        }
    }

    /// <summary>For first moments and centred scales.</summary>
    public static DynamicCode Signed { get; } = new(CodeTables.Signed, CodeTables.SignedBoundaries);

    /// <summary>For second moments.</summary>
    public static DynamicCode Unsigned { get; } = new(CodeTables.Unsigned, CodeTables.UnsignedBoundaries);

    /// <summary>The 256 values.</summary>
    public ReadOnlySpan<float> Map => _map;

    /// <summary>
    /// The code of a value: seven halvings from entry 127 find an entry beside the value; the neighbour on the value's
    /// side is taken when the value lies strictly beyond their midpoint.
    /// </summary>
    /// <param name="value">Scaled to -1 … 1; NaN compares with nothing.</param>
    public int Encode(float value)
    {
        var bits = BitConverter.SingleToInt32Bits(value);
        var bucket = (bits & int.MaxValue) >> BucketShift;
        if (bucket >= Buckets)
        {
            return Search(value);
        }

        int code = _below[bits < 0 ? bucket + Buckets : bucket];
        while (value > _bounds[code])
        {
            code++;
        }

        // On a midpoint the search's path decides which neighbour it is.
        return value == _bounds[code] ? Search(value) : code;
    }

    private int Search(float value)
    {
        var map = _map;
        var at = 127;
        for (var step = 64; step > 0; step >>= 1)
        {
            at += value > map[at] ? step : -step;
        }

        if (value > map[at])
        {
            return at < 255 && value > _bounds[at] ? at + 1 : at;
        }

        return at > 0 && value < _bounds[at - 1] ? at - 1 : at;
    }

    /// <summary>Codes of scaled values.</summary>
    /// <param name="values">Values.</param>
    /// <param name="factor">Applied first.</param>
    /// <param name="codes">As many bytes.</param>
    public unsafe void Encode(ReadOnlySpan<float> values, float factor, byte* codes)
    {
        for (var i = 0; i < values.Length; i++)
        {
            codes[i] = (byte)Encode(values[i] * factor);
        }
    }
}
