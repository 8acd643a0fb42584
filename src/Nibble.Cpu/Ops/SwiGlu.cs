using System.Runtime.CompilerServices;
using Nibble.Cpu.Simd;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void SwiGlu(TensorView gateUp, TensorView h)
    {
        Guard.Type(gateUp, DType.F32);
        Guard.Type(h, DType.F32);
        Guard.Shape(gateUp, h.Rows, 2 * h.Cols);
        var units = RowUnits(h.Rows, 2 * h.Count);
        _team.Run(new SwiGluJob { Rows = _rows, GateUp = gateUp, H = h, Units = units }, units);
    }

    /// <inheritdoc/>
    public void SwiGluBackward(TensorView dh, TensorView gateUp, TensorView dGateUp, TensorView h)
    {
        Guard.Type(dh, DType.F32);
        Guard.Type(gateUp, DType.F32);
        Guard.Type(dGateUp, DType.F32);
        Guard.Shape(gateUp, dh.Rows, 2 * dh.Cols);
        Guard.Shape(dGateUp, dh.Rows, 2 * dh.Cols);
        if (!h.IsNone)
        {
            Guard.Type(h, DType.F32);
            Guard.Shape(h, dh.Rows, dh.Cols);
        }

        var units = RowUnits(dh.Rows, 3 * dh.Count);
        _team.Run(
            new SwiGluBackwardJob
            {
                Rows = _rows,
                Dh = dh,
                GateUp = gateUp,
                DGateUp = dGateUp,
                H = h,
                Units = units,
            },
            units);
    }

    private struct SwiGluJob : IJob
    {
        public RowKernels Rows;
        public TensorView GateUp;
        public TensorView H;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var f = H.Cols;
            var end = Cut.Start(unit + 1, Units, H.Rows);
            for (var t = Cut.Start(unit, Units, H.Rows); t < end; t++)
            {
                var g = Floats(GateUp) + (nint)t * GateUp.Stride;
                Rows.SwiGlu(g, g + f, Floats(H) + (nint)t * H.Stride, f);
            }
        }
    }

    private struct SwiGluBackwardJob : IJob
    {
        public RowKernels Rows;
        public TensorView Dh;
        public TensorView GateUp;
        public TensorView DGateUp;
        public TensorView H;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var f = Dh.Cols;
            var end = Cut.Start(unit + 1, Units, Dh.Rows);
            for (var t = Cut.Start(unit, Units, Dh.Rows); t < end; t++)
            {
                var dh = Floats(Dh) + (nint)t * Dh.Stride;
                var g = Floats(GateUp) + (nint)t * GateUp.Stride;
                var dg = Floats(DGateUp) + (nint)t * DGateUp.Stride;
                if (H.IsNone)
                {
                    Rows.SwiGluBackward(dh, g, g + f, dg, dg + f, f);
                }
                else
                {
                    Rows.SwiGluBackward(dh, g, g + f, dg, dg + f, Floats(H) + (nint)t * H.Stride, f);
                }
            }
        }
    }
}

internal abstract unsafe partial class RowKernels
{
    /// <summary>h = silu(g) · u.</summary>
    public abstract void SwiGlu(float* g, float* u, float* h, int count);

    /// <summary>dg = dh · u · σ (1 + g (1 - σ)), du = dh · g σ; outputs may be the inputs.</summary>
    public abstract void SwiGluBackward(float* dh, float* g, float* u, float* dg, float* du, int count);

    /// <summary>The same, and h = silu(g) · u; outputs may be the inputs.</summary>
    public abstract void SwiGluBackward(
        float* dh, float* g, float* u, float* dg, float* du, float* h, int count);
}

internal sealed unsafe partial class RowKernels<TLanes, TVector>
{
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SwiGlu(float* g, float* u, float* h, int count)
    {
        var i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TLanes.Store(SwiGlu(TLanes.Load(g + i), TLanes.Load(u + i)), h + i);
        }

        if (i < count)
        {
            var tail = new Tail(count - i);
            TLanes.Store(SwiGlu(tail.Read(g + i, 0), tail.Read(u + i, 1)), tail.Slot(2));
            tail.Write(2, h + i);
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SwiGluBackward(float* dh, float* g, float* u, float* dg, float* du, int count)
    {
        var i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var (first, second) = SwiGluSlopes(TLanes.Load(dh + i), TLanes.Load(g + i), TLanes.Load(u + i));
            TLanes.Store(first, dg + i);
            TLanes.Store(second, du + i);
        }

        if (i < count)
        {
            var tail = new Tail(count - i);
            var (first, second) = SwiGluSlopes(tail.Read(dh + i, 0), tail.Read(g + i, 1), tail.Read(u + i, 2));
            TLanes.Store(first, tail.Slot(0));
            TLanes.Store(second, tail.Slot(1));
            tail.Write(0, dg + i);
            tail.Write(1, du + i);
        }
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void SwiGluBackward(float* dh, float* g, float* u, float* dg, float* du, float* h, int count)
    {
        var i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            var (gate, up) = (TLanes.Load(g + i), TLanes.Load(u + i));
            var (first, second) = SwiGluSlopes(TLanes.Load(dh + i), gate, up);
            TLanes.Store(first, dg + i);
            TLanes.Store(second, du + i);
            TLanes.Store(SwiGlu(gate, up), h + i);
        }

        if (i < count)
        {
            var tail = new Tail(count - i);
            var (gate, up) = (tail.Read(g + i, 1), tail.Read(u + i, 2));
            var (first, second) = SwiGluSlopes(tail.Read(dh + i, 0), gate, up);
            TLanes.Store(first, tail.Slot(0));
            TLanes.Store(second, tail.Slot(1));
            TLanes.Store(SwiGlu(gate, up), tail.Slot(2));
            tail.Write(0, dg + i);
            tail.Write(1, du + i);
            tail.Write(2, h + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Sigmoid(TVector g)
    {
        var one = TLanes.Create(1);
        return TLanes.Divide(
            one, TLanes.Add(one, Elementary.Exp<TLanes, TVector>(TLanes.Subtract(TLanes.Create(0), g))));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector SwiGlu(TVector g, TVector u) => TLanes.Multiply(TLanes.Multiply(g, Sigmoid(g)), u);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (TVector Dg, TVector Du) SwiGluSlopes(TVector dh, TVector g, TVector u)
    {
        var (one, s) = (TLanes.Create(1), Sigmoid(g));
        var slope = TLanes.Multiply(s, TLanes.Fma(g, TLanes.Subtract(one, s), one));
        return (TLanes.Multiply(TLanes.Multiply(dh, u), slope), TLanes.Multiply(dh, TLanes.Multiply(g, s)));
    }
}
