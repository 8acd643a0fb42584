using System.Runtime.CompilerServices;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Add(TensorView x, TensorView y)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(y, DType.F32);
        Guard.Shape(x, y.Rows, y.Cols);
        var units = RowUnits(y.Rows, y.Count);
        _team.Run(new AddJob { Rows = _rows, X = x, Y = y, Units = units }, units);
    }

    private struct AddJob : IJob
    {
        public RowKernels Rows;
        public TensorView X;
        public TensorView Y;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var end = Cut.Start(unit + 1, Units, Y.Rows);
            for (var t = Cut.Start(unit, Units, Y.Rows); t < end; t++)
            {
                Rows.Add(Row(Y, t, 0), Row(X, t, 0), Row(Y, t, 0), Y.Cols);
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>sum = a + b; may be either.</summary>
    public abstract void Add(float* a, float* b, float* sum, int count);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Add(float* a, float* b, float* sum, int count)
    {
        var i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(TLanes.Add(TLanes.Load(a + i), TLanes.Load(b + i)), sum + i);
        }

        for (; i < count; i++)
        {
            sum[i] = a[i] + b[i];
        }
    }
}
