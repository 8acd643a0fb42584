using Nibble.Cpu.Gemm;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Embedding(TensorView ids, TensorView table, TensorView y)
    {
        Guard.Type(ids, DType.I32);
        Guard.Type(y, DType.F32);
        Guard.Shape(ids, 1, y.Rows);
        Guard.Shape(y, ids.Cols, table.Cols);
        var units = RowUnits(y.Rows, y.Count);
        _team.Run(
            new RowsByIndexJob { Backend = this, X = new RowSource(table), Index = ids, Y = y, Units = units }, units);
    }

    /// <summary>Copies rows named by an index; the source may need widening.</summary>
    private struct RowsByIndexJob : IJob
    {
        public CpuBackend Backend;
        public RowSource X;
        public TensorView Index;
        public TensorView Y;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var index = (int*)Index.Address;
            var end = Cut.Start(unit + 1, Units, Y.Rows);
            for (var t = Cut.Start(unit, Units, Y.Rows); t < end; t++)
            {
                var y = Floats(Y) + (nint)t * Y.Stride;
                if (X.IsDirect)
                {
                    new ReadOnlySpan<float>(X.At(index[t], 0), Y.Cols).CopyTo(new Span<float>(y, Y.Cols));
                }
                else
                {
                    X.Read(Backend._rows, index[t], 0, Y.Cols, y);
                }
            }
        }
    }
}
