using System.Numerics.Tensors;
using Nibble.Tensors;

namespace Nibble.Cpu;

/// <summary>The block-wise 8-bit update of bitsandbytes (csrc/kernels.cu,
/// kOptimizerStatic8bit2StateBlockwise).</summary>
internal static unsafe class EightBitAdamW
{
    /// <summary>Updates one block of at most 256 values.</summary>
    /// <param name="rows">Row loops.</param>
    /// <param name="k">Constants.</param>
    /// <param name="p">Parameters.</param>
    /// <param name="g">Gradients.</param>
    /// <param name="codes1">First moments.</param>
    /// <param name="codes2">Second moments.</param>
    /// <param name="absMax1">The block's largest first moment.</param>
    /// <param name="absMax2">The block's largest second moment.</param>
    /// <param name="count">Values.</param>
    public static void Update(
        RowKernels rows, in AdamWConstants k, float* p, float* g, byte* codes1, byte* codes2, float* absMax1,
        float* absMax2, int count)
    {
        float* m = stackalloc float[OptimizerState.EightBitBlockSize];
        float* v = stackalloc float[OptimizerState.EightBitBlockSize];
        var map1 = DynamicCode.Signed.Map;
        var map2 = DynamicCode.Unsigned.Map;
        for (var i = 0; i < count; i++)
        {
            m[i] = map1[codes1[i]] * *absMax1;
            v[i] = map2[codes2[i]] * *absMax2;
        }

        rows.AdamW(k, p, g, m, v, count);
        var max1 = Math.Abs(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(m, count)));
        var max2 = TensorPrimitives.Max(new ReadOnlySpan<float>(v, count));
        (*absMax1, *absMax2) = (max1, max2);
        for (var i = 0; i < count; i++)
        {
            var code = DynamicCode.Signed.Encode(m[i] / max1);

            // A small moment must not change its sign by rounding.
            if (float.IsNegative(map1[code]) != float.IsNegative(m[i]))
            {
                code += m[i] > 0 ? 1 : -1;
            }

            codes1[i] = (byte)code;
            codes2[i] = (byte)DynamicCode.Unsigned.Encode(v[i] / max2);
        }
    }
}
