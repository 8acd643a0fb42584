using Nibble.Tensors;

namespace Nibble.Ops;

public sealed partial class ReferenceBackend
{
    /// <inheritdoc/>
    public void GradientNorm(TensorView gradient, TensorView norm)
    {
        Guard.Shape(norm, 1, 1);
        var (g, sum) = (At(gradient), 0.0);
        for (var i = 0; i < gradient.Cols; i++)
        {
            sum += g[i] * g[i];
        }

        var norms = At(norm);
        norms[0] = Math.Sqrt(sum);
    }

    /// <inheritdoc/>
    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(state);
        Guard.Shape(norm, 1, 1);
        var clip = step.MaxNorm > 0 ? Math.Min(1f, step.MaxNorm / ((float)At(norm)[0] + 1e-6f)) : 1f;
        for (var s = 0; s < parameters.Slots.Length; s++)
        {
            var slot = parameters.Slots[s];
            var (p, g) = (At(parameters.Master.ColRange(slot.Offset, slot.Count)),
                At(parameters.Gradient.ColRange(slot.Offset, slot.Count)));
            var rule = step with
            {
                LearningRate = step.LearningRate * slot.LearningRateRatio,
                WeightDecay = slot.Decays ? step.WeightDecay : 0,
            };
            if (state.IsEightBit[s])
            {
                StepEightBit(p, g, clip, rule, state, s);
            }
            else
            {
                var (m, v) = (At(state.Moment1.ColRange(state.StateOffsets[s], slot.Count)),
                    At(state.Moment2.ColRange(state.StateOffsets[s], slot.Count)));
                StepSingle(p, g, clip, rule, m, v);
            }
        }

        RefreshCompute(parameters);
    }

    /// <inheritdoc/>
    public void RefreshCompute(ParameterSet parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        foreach (var slot in parameters.Slots)
        {
            if (!slot.Compute.IsNone)
            {
                Convert(ParameterSet.Piece(parameters.Master, slot), slot.Compute, slot.ComputeScale);
            }
        }
    }

    private static void StepSingle(Elements p, Elements gradient, double clip, AdamWStep step, Elements m, Elements v)
    {
        var (b1, b2, lr) = ((double)step.Beta1, (double)step.Beta2, (double)step.LearningRate);
        var (c1, c2, decay) = (1 - Math.Pow(b1, step.Step), 1 - Math.Pow(b2, step.Step), 1 - lr * step.WeightDecay);
        for (var i = 0; i < p.Cols; i++)
        {
            var g = clip * gradient[i];
            if (!double.IsFinite(g))
            {
                continue;
            }

            m[i] = b1 * m[i] + (1 - b1) * g;
            v[i] = b2 * v[i] + (1 - b2) * g * g;
            var change = lr * (m[i] / c1) / (Math.Sqrt(v[i] / c2) + step.Epsilon);
            p[i] = step.DecayAfter ? (p[i] - change) * decay : p[i] * decay - change;
        }
    }

    // In binary32, operation by operation: the codes are part of the format.
    private static void StepEightBit(
        Elements p, Elements gradient, float clip, AdamWStep step, OptimizerState state, int slot)
    {
        const int Size = OptimizerState.EightBitBlockSize;
        var c1 = (float)(1 - Math.Pow(step.Beta1, step.Step));
        var c2 = (float)Math.Sqrt(1 - Math.Pow(step.Beta2, step.Step));
        var (rate, decay) = (-step.LearningRate * c2 / c1, 1 - step.LearningRate * step.WeightDecay);
        var (codes1, codes2) = (At(state.Codes1.ColRange(state.StateOffsets[slot], p.Cols)),
            At(state.Codes2.ColRange(state.StateOffsets[slot], p.Cols)));
        var (scales1, scales2) = (At(state.AbsMax1), At(state.AbsMax2));
        var (m, v) = (new float[Size], new float[Size]);
        for (var start = 0; start < p.Cols; start += Size)
        {
            var (count, block) = (Math.Min(Size, p.Cols - start), state.BlockOffsets[slot] + start / Size);
            var (max1, max2) = (0f, 0f);
            for (var i = 0; i < count; i++)
            {
                var g = clip * (float)gradient[start + i];
                (m[i], v[i]) = (0, 0);
                if (float.IsFinite(g))
                {
                    var oldM = CodeTables.Signed[codes1.Int(start + i)] * (float)scales1[block];
                    var oldV = CodeTables.Unsigned[codes2.Int(start + i)] * (float)scales2[block];
                    m[i] = oldM * step.Beta1 + (1 - step.Beta1) * g;
                    v[i] = oldV * step.Beta2 + (1 - step.Beta2) * g * g;
                    var value = (float)p[start + i];
                    value = step.DecayAfter ? value : value * decay;
                    value += rate * (m[i] / (MathF.Sqrt(v[i]) + c2 * step.Epsilon));
                    p[start + i] = step.DecayAfter ? value * decay : value;
                }

                (max1, max2) = (Math.Max(max1, Math.Abs(m[i])), Math.Max(max2, v[i]));
            }

            (scales1[block], scales2[block]) = (max1, max2);
            for (var i = 0; i < count; i++)
            {
                codes1[start + i] = SignedCode(m[i], max1);
                codes2[start + i] = CountBelow(CodeTables.UnsignedBoundaries, v[i] / max2);
            }
        }
    }

    // The sign bit of a small moment survives: a negative one that is nearest to 0 takes the code below it.
    private static int SignedCode(float m, float max)
    {
        var code = CountBelow(CodeTables.SignedBoundaries, m / max);
        return m == 0 || float.IsNegative(CodeTables.Signed[code]) == float.IsNegative(m) ? code : code + Math.Sign(m);
    }
}
