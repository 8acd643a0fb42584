using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    // Whole cache lines, so that no two members write to the same one.
    private const int TableGradientCols = 64;

    /// <inheritdoc/>
    public void EmbeddingBackward(TensorView ids, TensorView dy, TensorView dTable)
    {
        Guard.Type(ids, DType.I32);
        Guard.Type(dy, DType.F32);
        Guard.Type(dTable, DType.F32);
        Guard.Shape(ids, 1, dy.Rows);
        Guard.Shape(dy, ids.Cols, dTable.Cols);
        var units = (dTable.Cols + TableGradientCols - 1) / TableGradientCols;
        _team.Run(new TableGradientJob { Rows = _rows, Ids = ids, Dy = dy, DTable = dTable }, units);
    }

    // A unit owns columns and walks all tokens, so a row named twice is added to in the order of the tokens.
    private struct TableGradientJob : IJob
    {
        public RowKernels Rows;
        public TensorView Ids;
        public TensorView Dy;
        public TensorView DTable;

        public readonly void Run(int unit, int worker)
        {
            var ids = (int*)Ids.Address;
            var first = unit * TableGradientCols;
            var cols = Math.Min(TableGradientCols, DTable.Cols - first);
            for (var t = 0; t < Dy.Rows; t++)
            {
                var row = Floats(DTable) + (nint)ids[t] * DTable.Stride + first;
                Rows.Add(row, Floats(Dy) + (nint)t * Dy.Stride + first, row, cols);
            }
        }
    }
}
