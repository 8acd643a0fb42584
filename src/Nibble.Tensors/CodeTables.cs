namespace Nibble.Tensors;

/// <summary>The code tables of bitsandbytes, bit for bit.</summary>
public static class CodeTables
{
    private static readonly float[] Nf4Values =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
        -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f,
        0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
        0.7229568362236023f, 1.0f,
    ];

    private static readonly float[] Fp4Magnitudes =
        [0f, 0.005208333333f, 0.66666667f, 1.0f, 0.33333333f, 0.5f, 0.16666667f, 0.25f];

    // bitsandbytes' kernels apply the sign bit to zero as well: code 8 is -0.
    private static readonly float[] Fp4Values = [.. Fp4Magnitudes, .. Fp4Magnitudes.Select(m => -m)];

    // Ascending thresholds on |x| and the index that holds above each: bitsandbytes csrc/kernels.cu, dQuantizeFP4.
    private static readonly float[] Fp4Thresholds =
        [0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f];

    private static readonly byte[] Fp4Order = [0, 1, 6, 7, 4, 5, 2, 3];

    private static readonly float[] SignedMap = MakeDynamicMap(true);
    private static readonly float[] UnsignedMap = MakeDynamicMap(false);
    private static readonly float[] Nf4Bounds = Midpoints(Nf4Values);
    private static readonly float[] SignedBounds = Midpoints(SignedMap);
    private static readonly float[] UnsignedBounds = Midpoints(UnsignedMap);

    /// <summary>The 16 values of a code, by code.</summary>
    /// <param name="code">Which code.</param>
    public static ReadOnlySpan<float> Values(FourBitCode code) => code == FourBitCode.Nf4 ? Nf4Values : Fp4Values;

    /// <summary>The signed dynamic map, 256 ascending values.</summary>
    public static ReadOnlySpan<float> Signed => SignedMap;

    /// <summary>The unsigned dynamic map, 256 ascending values.</summary>
    public static ReadOnlySpan<float> Unsigned => UnsignedMap;

    /// <summary>The 15 midpoints between NF4 values: a value's code is the number of
    /// midpoints strictly below it.</summary>
    public static ReadOnlySpan<float> Nf4Boundaries => Nf4Bounds;

    /// <summary>The 255 midpoints of <see cref="Signed"/>.</summary>
    public static ReadOnlySpan<float> SignedBoundaries => SignedBounds;

    /// <summary>The 255 midpoints of <see cref="Unsigned"/>.</summary>
    public static ReadOnlySpan<float> UnsignedBoundaries => UnsignedBounds;

    /// <summary>Thresholds on |x| in ascending order; the FP4 index above threshold i is
    /// <see cref="Fp4Indices"/>[i + 1].</summary>
    public static ReadOnlySpan<float> Fp4Boundaries => Fp4Thresholds;

    /// <summary>FP4 indices in ascending order of magnitude; bit 3 of a code is the sign.</summary>
    public static ReadOnlySpan<byte> Fp4Indices => Fp4Order;

    private static float[] Midpoints(float[] values)
    {
        var bounds = new float[values.Length - 1];
        for (var i = 0; i < bounds.Length; i++)
        {
            bounds[i] = (values[i] + values[i + 1]) / 2;
        }

        return bounds;
    }

    // bitsandbytes functional.py create_dynamic_map; linspace rounds once per element
    // (fused multiply-add), as PyTorch does.
    private static float[] MakeDynamicMap(bool signed)
    {
        var values = new List<float>(256);
        for (var level = 0; level < 7; level++)
        {
            var n = signed ? (1 << level) + 1 : (1 << (level + 1)) + 1;
            var step = (1.0f - 0.1f) / (n - 1);
            float Element(int k) => k < n / 2
                ? MathF.FusedMultiplyAdd(step, k, 0.1f)
                : MathF.FusedMultiplyAdd(-step, n - 1 - k, 1.0f);
            var scale = (float)Math.Pow(10, level - 6);
            for (var j = 0; j < n - 1; j++)
            {
                var value = scale * ((Element(j) + Element(j + 1)) / 2);
                values.Add(value);
                if (signed)
                {
                    values.Add(-value);
                }
            }
        }

        values.Add(0f);
        values.Add(1f);
        values.Sort();
        return [.. values];
    }
}
