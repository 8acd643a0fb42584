using System.Runtime.CompilerServices;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    // A norm is summed in this many pieces whatever the number of threads.
    private const int NormPieces = 64;

    // Elements of one unit of an update: whole 8-bit blocks.
    private const int UpdatedTogether = 8 * OptimizerState.EightBitBlockSize;

    /// <inheritdoc/>
    public void GradientNorm(TensorView gradient, TensorView norm)
    {
        Guard.Type(gradient, DType.F32);
        Guard.Type(norm, DType.F32);
        Guard.Shape(gradient, 1, gradient.Cols);
        Guard.Shape(norm, 1, 1);
        double* pieces = stackalloc double[NormPieces];
        _team.Run(new NormPieceJob { Gradient = gradient, Pieces = pieces }, NormPieces);
        var sum = 0.0;
        for (var i = 0; i < NormPieces; i++)
        {
            sum += pieces[i];
        }

        *Floats(norm) = (float)Math.Sqrt(sum);
    }

    /// <inheritdoc/>
    public void AdamW(ParameterSet parameters, OptimizerState state, in AdamWStep step, TensorView norm)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(state);
        Guard.Type(norm, DType.F32);
        Guard.Shape(norm, 1, 1);
        var clip = step.MaxNorm > 0 ? MathF.Min(1, step.MaxNorm / (*Floats(norm) + 1e-6f)) : 1;
        for (var i = 0; i < parameters.Slots.Length; i++)
        {
            var slot = parameters.Slots[i];
            var constants = new AdamWConstants(step, slot, clip, state.IsEightBit[i]);
            var units = (slot.Count + UpdatedTogether - 1) / UpdatedTogether;
            var master = Floats(parameters.Master) + slot.Offset;
            var gradient = Floats(parameters.Gradient) + slot.Offset;
            if (state.IsEightBit[i])
            {
                _team.Run(
                    new EightBitJob
                    {
                        Rows = _rows,
                        Constants = constants,
                        Count = slot.Count,
                        Master = master,
                        Gradient = gradient,
                        Codes1 = (byte*)state.Codes1.Address + state.StateOffsets[i],
                        Codes2 = (byte*)state.Codes2.Address + state.StateOffsets[i],
                        AbsMax1 = Floats(state.AbsMax1) + state.BlockOffsets[i],
                        AbsMax2 = Floats(state.AbsMax2) + state.BlockOffsets[i],
                    },
                    units);
            }
            else
            {
                _team.Run(
                    new UpdateJob
                    {
                        Rows = _rows,
                        Constants = constants,
                        Count = slot.Count,
                        Master = master,
                        Gradient = gradient,
                        Moment1 = Floats(state.Moment1) + state.StateOffsets[i],
                        Moment2 = Floats(state.Moment2) + state.StateOffsets[i],
                    },
                    units);
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

    private struct NormPieceJob : IJob
    {
        public TensorView Gradient;
        public double* Pieces;

        public readonly void Run(int unit, int worker)
        {
            var end = Cut.Start(unit + 1, NormPieces, Gradient.Cols);
            var g = Floats(Gradient);

            // Four sums hide the latency of the additions.
            var (a, b, c, d, i) = (0.0, 0.0, 0.0, 0.0, Cut.Start(unit, NormPieces, Gradient.Cols));
            for (; i <= end - 4; i += 4)
            {
                a += (double)g[i] * g[i];
                b += (double)g[i + 1] * g[i + 1];
                c += (double)g[i + 2] * g[i + 2];
                d += (double)g[i + 3] * g[i + 3];
            }

            for (; i < end; i++)
            {
                a += (double)g[i] * g[i];
            }

            Pieces[unit] = a + b + (c + d);
        }
    }

    private struct UpdateJob : IJob
    {
        public RowKernels Rows;
        public AdamWConstants Constants;
        public int Count;
        public float* Master;
        public float* Gradient;
        public float* Moment1;
        public float* Moment2;

        public readonly void Run(int unit, int worker)
        {
            var first = unit * UpdatedTogether;
            var count = Math.Min(UpdatedTogether, Count - first);
            Rows.AdamW(Constants, Master + first, Gradient + first, Moment1 + first, Moment2 + first, count);
        }
    }

    private struct EightBitJob : IJob
    {
        public RowKernels Rows;
        public AdamWConstants Constants;
        public int Count;
        public float* Master;
        public float* Gradient;
        public byte* Codes1;
        public byte* Codes2;
        public float* AbsMax1;
        public float* AbsMax2;

        public readonly void Run(int unit, int worker)
        {
            const int Block = OptimizerState.EightBitBlockSize;
            var end = Math.Min(Count, (unit + 1) * UpdatedTogether);
            for (var first = unit * UpdatedTogether; first < end; first += Block)
            {
                var count = Math.Min(Block, end - first);
                EightBitAdamW.Update(
                    Rows, Constants, Master + first, Gradient + first, Codes1 + first, Codes2 + first,
                    AbsMax1 + first / Block, AbsMax2 + first / Block, count);
            }
        }
    }
}

/// <summary>What an update needs of a step, for one slot, rounded once from double.</summary>
internal readonly struct AdamWConstants
{
    /// <summary>Derives the constants.</summary>
    /// <param name="step">The step.</param>
    /// <param name="slot">Whose rate and decay.</param>
    /// <param name="clip">Factor on the gradient.</param>
    /// <param name="forgets">Whether a gradient that is not finite clears its moments.</param>
    public AdamWConstants(in AdamWStep step, ParameterSlot slot, float clip, bool forgets)
    {
        var rate = (double)step.LearningRate * slot.LearningRateRatio;
        var (correction1, correction2) =
            (1 - Math.Pow(step.Beta1, step.Step), Math.Sqrt(1 - Math.Pow(step.Beta2, step.Step)));
        (Clip, Beta1, Beta2) = (clip, step.Beta1, step.Beta2);
        StepSize = (float)(-rate * correction2 / correction1);
        Epsilon = (float)(step.Epsilon * correction2);
        Decay = slot.Decays ? (float)(1 - rate * step.WeightDecay) : 1;
        DecayAfter = step.DecayAfter;
        KeptMoment = forgets ? 0 : 1;
    }

    /// <summary>Factor on the gradient.</summary>
    public float Clip { get; }

    /// <summary>β1.</summary>
    public float Beta1 { get; }

    /// <summary>β2.</summary>
    public float Beta2 { get; }

    /// <summary>-lr · c2 / c1.</summary>
    public float StepSize { get; }

    /// <summary>c2 · ε.</summary>
    public float Epsilon { get; }

    /// <summary>Factor on the parameter, 1 for none.</summary>
    public float Decay { get; }

    /// <summary>Decay after the step.</summary>
    public bool DecayAfter { get; }

    /// <summary>Factor on the moments of an element whose gradient is not finite.</summary>
    public float KeptMoment { get; }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>One update of F32 moments and parameters.</summary>
    public abstract void AdamW(in AdamWConstants k, float* p, float* g, float* m, float* v, int count);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AdamW(in AdamWConstants k, float* p, float* g, float* m, float* v, int count)
    {
        var i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var (first, second, parameter) = (TLanes.Load(m + i), TLanes.Load(v + i), TLanes.Load(p + i));
            AdamW(k, TLanes.Load(g + i), ref parameter, ref first, ref second);
            TLanes.Store(first, m + i);
            TLanes.Store(second, v + i);
            TLanes.Store(parameter, p + i);
        }

        if (i < count)
        {
            var tail = new Tail(count - i);
            var (first, second, parameter) = (tail.Read(m + i, 0), tail.Read(v + i, 1), tail.Read(p + i, 2));
            AdamW(k, tail.Read(g + i, 3), ref parameter, ref first, ref second);
            TLanes.Store(first, tail.Slot(0));
            TLanes.Store(second, tail.Slot(1));
            TLanes.Store(parameter, tail.Slot(2));
            tail.Write(0, m + i);
            tail.Write(1, v + i);
            tail.Write(2, p + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AdamW(in AdamWConstants k, TVector gradient, ref TVector p, ref TVector m, ref TVector v)
    {
        var g = TLanes.Multiply(gradient, TLanes.Create(k.Clip));
        var first = TLanes.Fma(m, TLanes.Create(k.Beta1), TLanes.Multiply(TLanes.Create(1 - k.Beta1), g));
        var square = TLanes.Multiply(TLanes.Multiply(TLanes.Create(1 - k.Beta2), g), g);
        var second = TLanes.Fma(v, TLanes.Create(k.Beta2), square);
        var decayed = TLanes.Multiply(p, TLanes.Create(k.DecayAfter ? 1 : k.Decay));
        var ratio = TLanes.Divide(first, TLanes.Add(TLanes.Sqrt(second), TLanes.Create(k.Epsilon)));
        decayed = TLanes.Fma(TLanes.Create(k.StepSize), ratio, decayed);
        decayed = TLanes.Multiply(decayed, TLanes.Create(k.DecayAfter ? k.Decay : 1));
        // Adding 0 makes a cleared moment +0: the 8-bit code of -0 would be moved below that of 0.
        var (kept, zero) = (TLanes.Create(k.KeptMoment), TLanes.Create(0));
        (m, v, p) = (
            TLanes.WhereFinite(g, first, TLanes.Fma(m, kept, zero)),
            TLanes.WhereFinite(g, second, TLanes.Fma(v, kept, zero)), TLanes.WhereFinite(g, decayed, p));
    }
}
