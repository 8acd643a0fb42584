using System.Runtime.CompilerServices;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Dropout(
        TensorView x, TensorView y, float probability, ulong key, ulong stream, long rowOffset, bool accumulate = false)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Shape(x, y.Rows, y.Cols);
        if (probability is not (>= 0 and < 1))
        {
            throw new ArgumentOutOfRangeException(nameof(probability), probability, "expected a probability in [0, 1)");
        }

        var units = RowUnits(y.Rows, 4 * y.Count);
        _team.Run(
            new DropoutJob
            {
                Rows = _rows,
                X = x,
                Y = y,
                Probability = probability,
                Key = key,
                Stream = stream,
                RowOffset = rowOffset,
                Accumulate = accumulate,
                Units = units,
            },
            units);
    }

    private struct DropoutJob : IJob
    {
        public RowKernels Rows;
        public TensorView X;
        public TensorView Y;
        public float Probability;
        public ulong Key;
        public ulong Stream;
        public long RowOffset;
        public bool Accumulate;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var cols = Y.Cols;
            float* mask = stackalloc float[PhiloxMask.Piece];
            var end = Cut.Start(unit + 1, Units, Y.Rows);
            for (var t = Cut.Start(unit, Units, Y.Rows); t < end; t++)
            {
                var x = Floats(X) + (nint)t * X.Stride;
                var y = Floats(Y) + (nint)t * Y.Stride;
                for (var c = 0; c < cols; c += PhiloxMask.Piece)
                {
                    var count = Math.Min(PhiloxMask.Piece, cols - c);
                    PhiloxMask.Fill(mask, count, (RowOffset + t) * cols + c, Probability, Key, Stream);
                    Rows.Keep(x + c, mask, 1 - Probability, y + c, count, Accumulate);
                }
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>y (+)= x / divisor where the mask is 1, 0 where it is 0.</summary>
    public abstract void Keep(float* x, float* mask, float divisor, float* y, int count, bool accumulate);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Keep(float* x, float* mask, float divisor, float* y, int count, bool accumulate)
    {
        var (divisors, half, i) = (TLanes.Create(divisor), TLanes.Create(0.5f), 0);
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            // A dropped element is 0 even where x is not finite.
            var kept = TLanes.Divide(TLanes.Load(x + i), divisors);
            kept = TLanes.ZeroWhereLess(TLanes.Load(mask + i), half, kept);
            TLanes.Store(accumulate ? TLanes.Add(TLanes.Load(y + i), kept) : kept, y + i);
        }

        for (; i < count; i++)
        {
            var kept = mask[i] != 0 ? x[i] / divisor : 0;
            y[i] = accumulate ? y[i] + kept : kept;
        }
    }
}
