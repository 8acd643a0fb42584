using System.Runtime.CompilerServices;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Rope(TensorView x, TensorView positions, TensorView table, bool inverse)
    {
        Guard.Type(x, DType.F32);
        Guard.Type(positions, DType.I32);
        Guard.Type(table, DType.F32);
        Guard.Shape(positions, 1, x.Rows);
        if (table.Cols == 0 || table.Cols % 2 != 0 || x.Cols % table.Cols != 0)
        {
            throw new ShapeException($"table: expected [positions, D] with D even and dividing {x.Cols}, got {table}");
        }

        var units = RowUnits(x.Rows, x.Count);
        _team.Run(
            new RopeJob
            {
                Rows = _rows,
                X = x,
                Positions = positions,
                Table = table,
                Sign = inverse ? -1 : 1,
                Units = units,
            },
            units);
    }

    private struct RopeJob : IJob
    {
        public RowKernels Rows;
        public TensorView X;
        public TensorView Positions;
        public TensorView Table;
        public float Sign;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var half = Table.Cols / 2;
            var end = Cut.Start(unit + 1, Units, X.Rows);
            for (var t = Cut.Start(unit, Units, X.Rows); t < end; t++)
            {
                var cos = Floats(Table) + (nint)((int*)Positions.Address)[t] * Table.Stride;
                var x = Floats(X) + (nint)t * X.Stride;
                for (var head = 0; head < X.Cols; head += 2 * half)
                {
                    Rows.Rotate(x + head, x + head + half, cos, cos + half, Sign, half);
                }
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>a, b = a cos - b sin · sign, b cos + a sin · sign.</summary>
    public abstract void Rotate(float* a, float* b, float* cos, float* sin, float sign, int count);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Rotate(float* a, float* b, float* cos, float* sin, float sign, int count)
    {
        var (signs, zero, i) = (TLanes.Create(sign), TLanes.Create(0), 0);
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var (x, y) = (TLanes.Load(a + i), TLanes.Load(b + i));
            var (c, s) = (TLanes.Load(cos + i), TLanes.Multiply(TLanes.Load(sin + i), signs));
            TLanes.Store(TLanes.Fma(x, c, TLanes.Subtract(zero, TLanes.Multiply(y, s))), a + i);
            TLanes.Store(TLanes.Fma(y, c, TLanes.Multiply(x, s)), b + i);
        }

        for (; i < count; i++)
        {
            var (x, y, s) = (a[i], b[i], sin[i] * sign);
            a[i] = x * cos[i] - y * s;
            b[i] = y * cos[i] + x * s;
        }
    }
}
