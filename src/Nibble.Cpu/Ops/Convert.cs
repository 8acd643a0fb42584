using System.Numerics.Tensors;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Convert(TensorView x, TensorView y, float scale = 1)
    {
        RequireFloating(x);
        RequireFloating(y);
        Guard.Shape(x, y.Rows, y.Cols);
        var units = RowUnits(y.Rows, y.Count);
        _team.Run(new ConvertJob { X = x, Y = y, Scale = scale, Units = units }, units);
    }

    private static void RequireFloating(TensorView view)
    {
        if (view.DType is DType.I32 or DType.U8)
        {
            throw new ShapeException($"expected F64, F32, BF16 or F16, got {view}");
        }
    }

    private static void ConvertRow(TensorView x, TensorView y, int row, float scale)
    {
        var from = (byte*)x.Address + (nint)row * x.Stride * x.DType.Size();
        var to = (byte*)y.Address + (nint)row * y.Stride * y.DType.Size();
        if (x.DType == y.DType && scale == 1)
        {
            Buffer.MemoryCopy(from, to, (long)y.Cols * y.DType.Size(), (long)x.Cols * x.DType.Size());
            return;
        }

        if (x.DType == DType.F64 || y.DType == DType.F64)
        {
            for (var i = 0; i < x.Cols; i++)
            {
                WriteDouble(to, y.DType, i, ReadDouble(from, x.DType, i) * scale);
            }

            return;
        }

        // Through pieces of floats: widen, scale, narrow, each a vector loop.
        const int Piece = 256;
        float* floats = stackalloc float[Piece];
        for (var i = 0; i < x.Cols; i += Piece)
        {
            var count = Math.Min(Piece, x.Cols - i);
            var values = new Span<float>(floats, count);
            ReadFloats(from, x.DType, i, values);
            if (scale != 1)
            {
                TensorPrimitives.Multiply(values, scale, values);
            }

            WriteFloats(to, y.DType, i, values);
        }
    }

    private static void ReadFloats(byte* from, DType type, int first, Span<float> values)
    {
        switch (type)
        {
            case DType.F32:
                new ReadOnlySpan<float>((float*)from + first, values.Length).CopyTo(values);
                break;
            case DType.BF16:
                Bf16.ToSingle(new ReadOnlySpan<ushort>((ushort*)from + first, values.Length), values);
                break;
            default:
                TensorPrimitives.ConvertToSingle(new ReadOnlySpan<Half>((Half*)from + first, values.Length), values);
                break;
        }
    }

    private static void WriteFloats(byte* to, DType type, int first, ReadOnlySpan<float> values)
    {
        switch (type)
        {
            case DType.F32:
                values.CopyTo(new Span<float>((float*)to + first, values.Length));
                break;
            case DType.BF16:
                Bf16.FromSingle(values, new Span<ushort>((ushort*)to + first, values.Length));
                break;
            default:
                TensorPrimitives.ConvertToHalf(values, new Span<Half>((Half*)to + first, values.Length));
                break;
        }
    }

    private static double ReadDouble(byte* from, DType type, int i) => type switch
    {
        DType.F64 => ((double*)from)[i],
        DType.F32 => ((float*)from)[i],
        DType.BF16 => Bf16.ToSingle(((ushort*)from)[i]),
        _ => (double)((Half*)from)[i],
    };

    // A double reaches bfloat16 with one rounding: through a binary32 rounded to odd, whose last bit
    // remembers that something was cut off.
    private static void WriteDouble(byte* to, DType type, int i, double value)
    {
        switch (type)
        {
            case DType.F64:
                ((double*)to)[i] = value;
                break;
            case DType.F32:
                ((float*)to)[i] = (float)value;
                break;
            case DType.BF16:
                ((ushort*)to)[i] = Bf16.FromSingle(RoundToOdd(value));
                break;
            default:
                ((Half*)to)[i] = (Half)value;
                break;
        }
    }

    private static float RoundToOdd(double value)
    {
        var nearest = (float)value;
        if (nearest == value || !float.IsFinite(nearest))
        {
            return nearest;
        }

        var truncated = Math.Abs((double)nearest) > Math.Abs(value)
            ? BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(nearest) - 1)
            : nearest;
        return BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(truncated) | 1);
    }

    private struct ConvertJob : IJob
    {
        public TensorView X;
        public TensorView Y;
        public float Scale;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var end = Cut.Start(unit + 1, Units, Y.Rows);
            for (var t = Cut.Start(unit, Units, Y.Rows); t < end; t++)
            {
                ConvertRow(X, Y, t, Scale);
            }
        }
    }
}
