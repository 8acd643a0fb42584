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
            float* factors = stackalloc float[PhiloxMask.Piece];
            var end = Cut.Start(unit + 1, Units, Y.Rows);
            for (var t = Cut.Start(unit, Units, Y.Rows); t < end; t++)
            {
                var x = Floats(X) + (nint)t * X.Stride;
                var y = Floats(Y) + (nint)t * Y.Stride;
                for (var c = 0; c < cols; c += PhiloxMask.Piece)
                {
                    var count = Math.Min(PhiloxMask.Piece, cols - c);
                    PhiloxMask.Fill(factors, count, (RowOffset + t) * cols + c, Probability, Key, Stream);
                    for (var i = 0; i < count; i++)
                    {
                        var kept = factors[i] != 0 ? x[c + i] / (1 - Probability) : 0;
                        y[c + i] = Accumulate ? y[c + i] + kept : kept;
                    }
                }
            }
        }
    }
}
