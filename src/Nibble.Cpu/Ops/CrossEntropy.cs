using System.Runtime.CompilerServices;
using Nibble.Cpu.Simd;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void CrossEntropy(TensorView logits, TensorView targets, TensorView losses, float gradientScale)
    {
        Guard.Type(logits, DType.F32);
        Guard.Type(targets, DType.I32);
        Guard.Type(losses, DType.F32);
        Guard.Shape(targets, 1, logits.Rows);
        Guard.Shape(losses, 1, logits.Rows);
        var units = RowUnits(logits.Rows, 4 * logits.Count);
        _team.Run(
            new CrossEntropyJob
            {
                Rows = _rows,
                Logits = logits,
                Targets = targets,
                Losses = losses,
                GradientScale = gradientScale,
                Units = units,
            },
            units);
    }

    /// <inheritdoc/>
    public void AccumulateSum(TensorView values, double scale, TensorView total)
    {
        Guard.Type(values, DType.F32);
        Guard.Type(total, DType.F64);
        Guard.Shape(values, 1, values.Cols);
        Guard.Shape(total, 1, 1);
        var sum = 0.0;
        for (var i = 0; i < values.Cols; i++)
        {
            sum += Floats(values)[i] * scale;
        }

        *(double*)total.Address += sum;
    }

    private struct CrossEntropyJob : IJob
    {
        public RowKernels Rows;
        public TensorView Logits;
        public TensorView Targets;
        public TensorView Losses;
        public float GradientScale;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var end = Cut.Start(unit + 1, Units, Logits.Rows);
            for (var t = Cut.Start(unit, Units, Logits.Rows); t < end; t++)
            {
                var row = Floats(Logits) + (nint)t * Logits.Stride;
                var target = ((int*)Targets.Address)[t];
                var logit = row[target];
                var max = Rows.Max(row, Logits.Cols);
                var sum = Rows.ExpSum(row, max, Logits.Cols, GradientScale != 0);
                Floats(Losses)[t] = (float)(Math.Log(sum) + ((double)max - logit));
                if (GradientScale != 0)
                {
                    Rows.Scale(row, GradientScale / sum, Logits.Cols);
                    row[target] -= GradientScale;
                }
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>The largest element.</summary>
    public abstract float Max(float* x, int count);

    /// <summary>Σ e^(x - max); with <paramref name="store"/> the terms replace x.</summary>
    public abstract float ExpSum(float* x, float max, int count, bool store);

    /// <summary>x *= factor.</summary>
    public abstract void Scale(float* x, float factor, int count);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float Max(float* x, int count)
    {
        var (max, tail, i) = (TLanes.Create(float.NegativeInfinity), float.NegativeInfinity, 0);
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            max = TLanes.Max(max, TLanes.Load(x + i));
        }

        for (; i < count; i++)
        {
            tail = MathF.Max(tail, x[i]);
        }

        return MathF.Max(TLanes.Max(max), tail);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float ExpSum(float* x, float max, int count, bool store)
    {
        // One float that sums a whole vocabulary swallows its small terms: runs are added up in double.
        const int Run = 1024;
        var (total, maxes, tailSum, i) = (0.0, TLanes.Create(max), 0f, 0);
        while (i <= count - TLanes.Count)
        {
            var (sum, last) = (TLanes.Create(0), Math.Min(count - TLanes.Count, i + Run - 1));
            for (; i <= last; i += TLanes.Count)
            {
                var e = Elementary.Exp<TLanes, TVector>(TLanes.Subtract(TLanes.Load(x + i), maxes));
                sum = TLanes.Add(sum, e);
                if (store)
                {
                    TLanes.Store(e, x + i);
                }
            }

            total += TLanes.Sum(sum);
        }

        if (i < count)
        {
            var tail = new Tail(count - i);
            TLanes.Store(Elementary.Exp<TLanes, TVector>(TLanes.Subtract(tail.Read(x + i, 0), maxes)), tail.Slot(1));
            for (var j = 0; j < count - i; j++)
            {
                tailSum += tail.Slot(1)[j];
            }

            if (store)
            {
                tail.Write(1, x + i);
            }
        }

        return (float)(total + tailSum);
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Scale(float* x, float factor, int count)
    {
        var (factors, i) = (TLanes.Create(factor), 0);
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Multiply(TLanes.Load(x + i), factors), x + i);
        }

        for (; i < count; i++)
        {
            x[i] *= factor;
        }
    }
}
