using Nibble.Cpu.Gemm;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void GatherRows(TensorView x, TensorView index, TensorView y)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Type(index, DType.I32);
        Guard.Shape(index, 1, y.Rows);
        Guard.Shape(y, index.Cols, x.Cols);
        var units = RowUnits(y.Rows, y.Count);
        _team.Run(
            new RowsByIndexJob { Backend = this, X = new RowSource(x), Index = index, Y = y, Units = units }, units);
    }

    /// <inheritdoc/>
    public void ScatterRows(TensorView x, TensorView index, TensorView y)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Type(index, DType.I32);
        Guard.Shape(index, 1, x.Rows);
        Guard.Shape(x, index.Cols, y.Cols);
        var rows = (int*)index.Address;
        for (var i = 0; i < x.Rows; i++)
        {
            var source = new ReadOnlySpan<float>(Floats(x) + (nint)i * x.Stride, x.Cols);
            source.CopyTo(new Span<float>(Floats(y) + (nint)rows[i] * y.Stride, x.Cols));
        }
    }
}
