using System.Runtime.CompilerServices;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    // Columns of a weight gradient summed by one unit.
    private const int WeightGradientCols = 64;

    /// <inheritdoc/>
    public void RmsNorm(TensorView x, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        var groups = CheckNorm(x, weight, y, rstd);
        var units = RowUnits(x.Rows, x.Count);
        _team.Run(
            new NormJob
            {
                Rows = _rows,
                X = x,
                Weight = weight,
                Epsilon = epsilon,
                Y = y,
                Rstd = rstd,
                Groups = groups,
                Units = units,
            },
            units);
    }

    /// <inheritdoc/>
    public void AddRmsNorm(
        TensorView x, TensorView delta, TensorView sum, TensorView weight, float epsilon, TensorView y, TensorView rstd)
    {
        var groups = CheckNorm(sum, weight, y, rstd);
        Guard.Type(x, DType.F32);
        Guard.Type(delta, DType.F32);
        Guard.Shape(x, sum.Rows, sum.Cols);
        Guard.Shape(delta, x.Rows, x.Cols);
        Guard.Shape(weight, 1, x.Cols);
        var units = RowUnits(x.Rows, x.Count);
        _team.Run(
            new NormJob
            {
                Rows = _rows,
                X = sum,
                First = x,
                Second = delta,
                Weight = weight,
                Epsilon = epsilon,
                Y = y,
                Rstd = rstd,
                Groups = groups,
                Units = units,
            },
            units);
    }

    /// <inheritdoc/>
    public void RmsNormBackward(
        TensorView dy, TensorView x, TensorView weight, TensorView rstd, TensorView dx, bool accumulate,
        TensorView dWeight)
    {
        var groups = CheckNorm(x, weight, dy, rstd);
        Guard.Type(dx, DType.F32);
        Guard.Shape(dx, x.Rows, x.Cols);
        if (!dWeight.IsNone)
        {
            Guard.Type(dWeight, DType.F32);
            Guard.Shape(dWeight, 1, weight.Cols);
            var columnUnits = (weight.Cols + WeightGradientCols - 1) / WeightGradientCols;
            _team.Run(
                new NormWeightJob { Rows = _rows, Dy = dy, X = x, Rstd = rstd, DWeight = dWeight, Groups = groups },
                columnUnits);
        }

        var units = RowUnits(x.Rows, x.Count);
        _team.Run(
            new NormBackwardJob
            {
                Rows = _rows,
                Dy = dy,
                X = x,
                Weight = weight,
                Rstd = rstd,
                Dx = dx,
                Accumulate = accumulate,
                Groups = groups,
                Units = units,
            },
            units);
    }

    private static int CheckNorm(TensorView x, TensorView weight, TensorView y, TensorView rstd)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(weight, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Type(rstd, DType.F32);
        if (weight.Rows != 1 || weight.Cols == 0 || x.Cols % weight.Cols != 0)
        {
            throw new ShapeException($"weight: expected [1, D] with D dividing {x.Cols}, got {weight}");
        }

        Guard.Shape(y, x.Rows, x.Cols);
        Guard.Shape(rstd, x.Rows, x.Cols / weight.Cols);
        return x.Cols / weight.Cols;
    }

    private struct NormJob : IJob
    {
        public RowKernels Rows;
        public TensorView X;
        public TensorView First;
        public TensorView Second;
        public TensorView Weight;
        public float Epsilon;
        public TensorView Y;
        public TensorView Rstd;
        public int Groups;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var d = Weight.Cols;
            var end = Cut.Start(unit + 1, Units, X.Rows);
            for (var t = Cut.Start(unit, Units, X.Rows); t < end; t++)
            {
                var x = Floats(X) + (nint)t * X.Stride;
                if (!First.IsNone)
                {
                    Rows.Add(Row(First, t, 0), Row(Second, t, 0), x, X.Cols);
                }

                for (var g = 0; g < Groups; g++)
                {
                    Floats(Rstd)[(nint)t * Rstd.Stride + g] = Rows.RmsNorm(
                        x + g * d, Floats(Weight), Epsilon, Floats(Y) + (nint)t * Y.Stride + g * d, d);
                }
            }
        }
    }

    private struct NormBackwardJob : IJob
    {
        public RowKernels Rows;
        public TensorView Dy;
        public TensorView X;
        public TensorView Weight;
        public TensorView Rstd;
        public TensorView Dx;
        public bool Accumulate;
        public int Groups;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var d = Weight.Cols;
            var end = Cut.Start(unit + 1, Units, X.Rows);
            for (var t = Cut.Start(unit, Units, X.Rows); t < end; t++)
            {
                for (var g = 0; g < Groups; g++)
                {
                    Rows.RmsNormBackward(
                        Floats(Dy) + (nint)t * Dy.Stride + g * d, Floats(X) + (nint)t * X.Stride + g * d,
                        Floats(Weight), Floats(Rstd)[(nint)t * Rstd.Stride + g],
                        Floats(Dx) + (nint)t * Dx.Stride + g * d, d, Accumulate);
                }
            }
        }
    }

    // A unit owns columns and walks all rows, so each column is summed in the order of the rows.
    private struct NormWeightJob : IJob
    {
        public RowKernels Rows;
        public TensorView Dy;
        public TensorView X;
        public TensorView Rstd;
        public TensorView DWeight;
        public int Groups;

        public readonly void Run(int unit, int worker)
        {
            var first = unit * WeightGradientCols;
            var cols = Math.Min(WeightGradientCols, DWeight.Cols - first);
            float* sum = stackalloc float[WeightGradientCols];
            new Span<float>(sum, WeightGradientCols).Clear();
            for (var t = 0; t < X.Rows; t++)
            {
                for (var g = 0; g < Groups; g++)
                {
                    var at = g * DWeight.Cols + first;
                    Rows.MultiplyAdd(
                        Floats(Dy) + (nint)t * Dy.Stride + at, Floats(X) + (nint)t * X.Stride + at,
                        Floats(Rstd)[(nint)t * Rstd.Stride + g], sum, cols);
                }
            }

            Rows.Add(sum, Floats(DWeight) + first, Floats(DWeight) + first, cols);
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>y = w · (x · r); returns r.</summary>
    public abstract float RmsNorm(float* x, float* weight, float epsilon, float* y, int d);

    /// <summary>dx (+)= r · (dy · w - x · r² · mean(dy · w · x)).</summary>
    public abstract void RmsNormBackward(
        float* dy, float* x, float* weight, float r, float* dx, int d, bool accumulate);

    /// <summary>sum += a · b · factor.</summary>
    public abstract void MultiplyAdd(float* a, float* b, float factor, float* sum, int count);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float RmsNorm(float* x, float* weight, float epsilon, float* y, int d)
    {
        var (sum, tail, i) = (TLanes.Create(0), 0f, 0);
        for (; i <= d - TLanes.Count; i += TLanes.Count)
        {
            var v = TLanes.Load(x + i);
            sum = TLanes.Fma(v, v, sum);
        }

        for (; i < d; i++)
        {
            tail += x[i] * x[i];
        }

        var r = 1 / MathF.Sqrt((TLanes.Sum(sum) + tail) / d + epsilon);
        var factor = TLanes.Create(r);
        for (i = 0; i <= d - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Multiply(TLanes.Load(weight + i), TLanes.Multiply(TLanes.Load(x + i), factor)), y + i);
        }

        for (; i < d; i++)
        {
            y[i] = weight[i] * (x[i] * r);
        }

        return r;
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void RmsNormBackward(
        float* dy, float* x, float* weight, float r, float* dx, int d, bool accumulate)
    {
        var (sum, tail, i) = (TLanes.Create(0), 0f, 0);
        for (; i <= d - TLanes.Count; i += TLanes.Count)
        {
            var g = TLanes.Multiply(TLanes.Load(dy + i), TLanes.Load(weight + i));
            sum = TLanes.Fma(g, TLanes.Load(x + i), sum);
        }

        for (; i < d; i++)
        {
            tail += dy[i] * weight[i] * x[i];
        }

        var slope = -(TLanes.Sum(sum) + tail) / d * r * r * r;
        var (slopes, factor) = (TLanes.Create(slope), TLanes.Create(r));
        for (i = 0; i <= d - TLanes.Count; i += TLanes.Count)
        {
            var g = TLanes.Multiply(TLanes.Load(dy + i), TLanes.Load(weight + i));
            var v = TLanes.Fma(TLanes.Load(x + i), slopes, TLanes.Multiply(g, factor));
            TLanes.Store(accumulate ? TLanes.Add(TLanes.Load(dx + i), v) : v, dx + i);
        }

        for (; i < d; i++)
        {
            var v = x[i] * slope + dy[i] * weight[i] * r;
            dx[i] = accumulate ? dx[i] + v : v;
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void MultiplyAdd(float* a, float* b, float factor, float* sum, int count)
    {
        var (factors, i) = (TLanes.Create(factor), 0);
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var scaled = TLanes.Multiply(TLanes.Load(b + i), factors);
            TLanes.Store(TLanes.Fma(TLanes.Load(a + i), scaled, TLanes.Load(sum + i)), sum + i);
        }

        for (; i < count; i++)
        {
            sum[i] += a[i] * (b[i] * factor);
        }
    }
}
