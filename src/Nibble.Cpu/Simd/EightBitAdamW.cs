using Nibble.Tensors;

namespace Nibble.Cpu;

/// <summary>The block-wise 8-bit update of bitsandbytes (csrc/kernels.cu, kOptimizerStatic8bit2StateBlockwise).</summary>
internal static unsafe class EightBitAdamW
{
    /// <summary>Updates one block of at most 256 values.</summary>
    /// <param name="k">Constants.</param>
    /// <param name="p">Parameters.</param>
    /// <param name="g">Gradients.</param>
    /// <param name="codes1">First moments.</param>
    /// <param name="codes2">Second moments.</param>
    /// <param name="absMax1">The block's largest first moment.</param>
    /// <param name="absMax2">The block's largest second moment.</param>
    /// <param name="count">Values.</param>
    public static void Update(
        in AdamWConstants k, float* p, float* g, byte* codes1, byte* codes2, float* absMax1, float* absMax2, int count)
    {
        float* m = stackalloc float[OptimizerState.EightBitBlockSize];
        float* v = stackalloc float[OptimizerState.EightBitBlockSize];
        var map1 = DynamicCode.Signed.Map;
        var map2 = DynamicCode.Unsigned.Map;
        var (max1, max2) = (0f, 0f);
        for (var i = 0; i < count; i++)
        {
            var gradient = g[i] * k.Clip;
            if (!float.IsFinite(gradient))
            {
                (m[i], v[i]) = (0, 0);
                continue;
            }

            // Rounded as the CUDA compiler contracts them: the last product and sum in one.
            var second = MathF.FusedMultiplyAdd(
                map2[codes2[i]] * *absMax2, k.Beta2, (1 - k.Beta2) * gradient * gradient);
            var first = MathF.FusedMultiplyAdd(map1[codes1[i]] * *absMax1, k.Beta1, (1 - k.Beta1) * gradient);
            var decayed = k.DecayAfter ? p[i] : p[i] * k.Decay;
            decayed = MathF.FusedMultiplyAdd(k.StepSize, first / (MathF.Sqrt(second) + k.Epsilon), decayed);
            p[i] = k.DecayAfter ? decayed * k.Decay : decayed;
            (m[i], v[i]) = (first, second);
            max1 = MathF.Max(max1, MathF.Abs(first));
            max2 = MathF.Max(max2, second);
        }

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
