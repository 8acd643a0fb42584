using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    private const int SummedCols = 64;

    /// <inheritdoc/>
    public void ColumnSum(TensorView x, TensorView y)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Shape(y, 1, x.Cols);
        _team.Run(new ColumnSumJob { Rows = _rows, X = x, Y = y }, (x.Cols + SummedCols - 1) / SummedCols);
    }

    // A unit owns columns and walks all rows, so each column is summed in the order of the rows.
    private struct ColumnSumJob : IJob
    {
        public RowKernels Rows;
        public TensorView X;
        public TensorView Y;

        public readonly void Run(int unit, int worker)
        {
            var first = unit * SummedCols;
            var cols = Math.Min(SummedCols, X.Cols - first);
            float* sum = stackalloc float[SummedCols];
            new Span<float>(sum, SummedCols).Clear();
            for (var t = 0; t < X.Rows; t++)
            {
                Rows.Add(sum, Floats(X) + (nint)t * X.Stride + first, sum, cols);
            }

            Rows.Add(sum, Floats(Y) + first, Floats(Y) + first, cols);
        }
    }
}
