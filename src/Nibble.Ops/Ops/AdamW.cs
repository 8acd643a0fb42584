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

internal static class AdamWCases
{
    private static readonly AdamWStep First = new(1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 1, 0, true);

    private static readonly (int Rows, int Cols)[] Small = [(1, 1), (3, 65), (8, 64), (16, 100)];

    private static readonly (int Rows, int Cols)[] Mixed =
        [(16, 300), (3, 65), (5, 1000), (1, 4096), (8, 64), (64, 65)];

    public static IEnumerable<OpCase> All { get; } =
    [
        .. Steps("first step", First),
        .. Steps("step 7, clipped", First with { Step = 7, MaxNorm = 1 }),
        .. Steps("step 7, not clipped", First with { Step = 7, MaxNorm = 1e6f }),
        .. Steps("step 500, decay before", First with { Step = 500, DecayAfter = false, WeightDecay = 0.1f }),
        .. Steps("no decay", First with { Step = 2, WeightDecay = 0 }),
        .. Norms(1), .. Norms(64), .. Norms(65), .. Norms(10_007), .. Norms(200_000),
        .. new OpCase("RefreshCompute", "six tensors", s => s.Backend.RefreshCompute(Parameters(s, Mixed, false)))
            .InBothLayouts(),
    ];

    private static IEnumerable<OpCase> Steps(string name, AdamWStep step)
    {
        OpCase[] cases =
        [
            new("AdamW", $"F32, {name}", s => Step(s, Small, step, false, false)),
            new("AdamW", $"8-bit, {name}", s => Step(s, Mixed, step, true, false)),
            new(
                "AdamW", $"8-bit, {name}, infinite gradient",
                s => Step(s, Mixed, step with { MaxNorm = 0 }, true, true)),
        ];
        return cases.SelectMany(c => c.InBothLayouts());
    }

    private static OpCase[] Norms(int n) =>
    [
        new("GradientNorm", $"n={n}", s => s.Backend.GradientNorm(
            s.Gapless(DType.F32, 1, n, Row(s.Normal(1, n, 0.01))),
            s.Output("norm", DType.F32, 1, 1, new(ToleranceClass.Optimizer)))),
    ];

    private static void Step(OpScope s, (int Rows, int Cols)[] sizes, AdamWStep step, bool eightBit, bool infinite)
    {
        var parameters = Parameters(s, sizes, infinite);
        var state = OptimizerState.Allocate(parameters.Slots, eightBit, s.Arena(1 << 20));
        foreach (var (name, view) in state.Tensors)
        {
            Fill(s, name, view, step.Step > 1);
            s.Expect(
                name, view, new Tolerance(view.DType == DType.U8 ? ToleranceClass.Codes : ToleranceClass.Optimizer));
        }

        var norm = s.Gapless(DType.F32, 1, 1);
        s.Backend.GradientNorm(parameters.Gradient, norm);
        s.Backend.AdamW(parameters, state, step, norm);
    }

    private static ParameterSet Parameters(OpScope s, (int Rows, int Cols)[] sizes, bool infinite)
    {
        var (slots, offset) = (new List<ParameterSlot>(), 0);
        for (var i = 0; i < sizes.Length; i++)
        {
            var (rows, cols) = sizes[i];
            var compute = i % 3 == 2 ? TensorView.None : s.Output(
                $"compute {i}", s.Activation, rows, cols, new(ToleranceClass.Elementwise));
            slots.Add(new ParameterSlot(
                $"p{i}", offset, rows, cols, compute, i % 2 == 0 ? 1 : 2.5f, i == 1 ? 16 : 1, i != 2));
            offset += (rows * cols + 63) / 64 * 64;
        }

        var (p, g) = (Row(s.Normal(1, offset, 0.05)), Row(s.Normal(1, offset, 0.02)));
        bool IsGap(int at) => !slots.Exists(slot => at >= slot.Offset && at < slot.Offset + slot.Count);
        // Gradients span magnitudes, as those of adapters do; every 97th is infinite or not a number when asked.
        double Gradient(int at) => infinite && at % 97 == 5
            ? at % 2 == 0 ? double.NaN : double.NegativeInfinity
            : g(at) * Math.Pow(10, -(at % 4));
        var master = s.Gapless(DType.F32, 1, offset, at => IsGap(at) ? 0 : p(at));
        s.Expect("master", master, new Tolerance(ToleranceClass.Optimizer));
        return new ParameterSet(slots, master, s.Gapless(DType.F32, 1, offset, at => IsGap(at) ? 0 : Gradient(at)));
    }

    private static void Fill(OpScope s, string name, TensorView view, bool started)
    {
        if (!started)
        {
            s.Backend.Zero(view);
            return;
        }

        var values = Row(s.Normal(1, view.Cols));
        var source = s.Gapless(view.DType, 1, view.Cols, i => name switch
        {
            "codes1" or "codes2" => Math.Clamp(Math.Round(128 + 50 * values(i)), 0, 255),
            "moment1" => 1e-3 * values(i),
            "moment2" => 1e-6 * values(i) * values(i),
            "absmax1" => 1e-3 * (0.1 + Math.Abs(values(i))),
            _ => 1e-5 * (0.1 + Math.Abs(values(i))),
        });
        var bytes = new byte[view.Bytes];
        s.Backend.Download(source, bytes);
        s.Backend.Upload(bytes, view);
    }

    private static Func<int, double> Row(double[,] values) => i => values[0, i];
}
