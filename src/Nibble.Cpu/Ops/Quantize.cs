using System.Numerics.Tensors;
using Nibble.Cpu.Gemm;
using Nibble.Cpu.Threading;
using Nibble.Tensors;

namespace Nibble.Cpu;

public sealed unsafe partial class CpuBackend
{
    // Values of one unit: whole blocks, and whole bytes.
    private const int QuantizedTogether = 256 * QuantizedMatrix.BlockSize;

    /// <inheritdoc/>
    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax)
    {
        RequireFloating(x);
        Guard.Contiguous(x);
        Guard.Type(codes, DType.U8);
        Guard.Type(absMax, DType.F32);
        Guard.Shape(codes, 1, checked((int)((x.Count + 1) / 2)));
        Guard.Shape(absMax, 1, QuantizedMatrix.BlockCount(x.Count));
        var units = checked((int)((x.Count + QuantizedTogether - 1) / QuantizedTogether));
        _team.Run(new QuantizeJob { X = x, Code = code, Codes = codes, AbsMax = absMax }, units);
    }

    /// <inheritdoc/>
    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        Guard.Type(absMax, DType.F32);
        Guard.Type(codes, DType.U8);
        Guard.Type(nestedAbsMax, DType.F32);
        var count = absMax.Cols;
        const int Block = QuantizedMatrix.NestedBlockSize;
        Guard.Shape(absMax, 1, count);
        Guard.Shape(codes, 1, count);
        Guard.Shape(nestedAbsMax, 1, (count + Block - 1) / Block);
        var sum = 0.0;
        for (var i = 0; i < count; i++)
        {
            sum += Floats(absMax)[i];
        }

        var offset = (float)(sum / Math.Max(count, 1));
        Span<float> centred = stackalloc float[Block];
        for (var block = 0; block < nestedAbsMax.Cols; block++)
        {
            var values = centred[..Math.Min(Block, count - block * Block)];
            var source = new ReadOnlySpan<float>(Floats(absMax) + block * Block, values.Length);
            TensorPrimitives.Subtract(source, offset, values);
            var max = Math.Abs(TensorPrimitives.MaxMagnitude<float>(values));
            Floats(nestedAbsMax)[block] = max;
            DynamicCode.Signed.Encode(values, 1 / max, (byte*)codes.Address + block * Block);
        }

        return offset;
    }

    /// <inheritdoc/>
    public void Dequantize4Bit(QuantizedMatrix x, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(x);
        RequireFloating(y);
        Guard.Contiguous(y);
        Guard.Shape(y, x.Rows, x.Cols);
        var units = checked((int)((y.Count + QuantizedTogether - 1) / QuantizedTogether));
        _team.Run(new DequantizeJob { Rows = _rows, X = new FourBitRows(x), Y = y }, units);
    }

    private struct QuantizeJob : IJob
    {
        public TensorView X;
        public FourBitCode Code;
        public TensorView Codes;
        public TensorView AbsMax;

        public readonly void Run(int unit, int worker)
        {
            var first = (long)unit * QuantizedTogether;
            var end = Math.Min(X.Count, first + QuantizedTogether);
            Span<float> values = stackalloc float[QuantizedMatrix.BlockSize];
            for (; first < end; first += QuantizedMatrix.BlockSize)
            {
                // A short last block is filled up with zeros: they change no maximum, and
                // one of them completes an odd byte.
                var count = (int)Math.Min(QuantizedMatrix.BlockSize, end - first);
                values.Clear();
                ReadFloats((byte*)X.Address + first * X.DType.Size(), X.DType, 0, values[..count]);
                var max = Math.Abs(TensorPrimitives.MaxMagnitude<float>(values));
                Floats(AbsMax)[first / QuantizedMatrix.BlockSize] = max;
                var codes = (byte*)Codes.Address + first / 2;
                var reciprocal = 1 / max;
                for (var i = 0; i < count; i += 2)
                {
                    codes[i / 2] = (byte)(Encode(values[i] * reciprocal) << 4 | Encode(values[i + 1] * reciprocal));
                }
            }
        }

        private readonly int Encode(float scaled) => Code == FourBitCode.Nf4 ? EncodeNf4(scaled) : EncodeFp4(scaled);

        // The number of boundaries strictly below: a NaN is above none.
        private static int EncodeNf4(float scaled)
        {
            var code = 0;
            foreach (var bound in CodeTables.Nf4Boundaries)
            {
                code += scaled > bound ? 1 : 0;
            }

            return code;
        }

        private static int EncodeFp4(float scaled)
        {
            var (above, magnitude) = (0, Math.Abs(scaled));
            foreach (var bound in CodeTables.Fp4Boundaries)
            {
                above += magnitude > bound ? 1 : 0;
            }

            return CodeTables.Fp4Indices[above] + (scaled < 0 ? 8 : 0);
        }
    }

    private struct DequantizeJob : IJob
    {
        public RowKernels Rows;
        public FourBitRows X;
        public TensorView Y;

        public readonly void Run(int unit, int worker)
        {
            const int Piece = 1024;
            float* floats = stackalloc float[Piece];
            var first = (long)unit * QuantizedTogether;
            var end = Math.Min(Y.Count, first + QuantizedTogether);
            for (; first < end; first += Piece)
            {
                var count = (int)Math.Min(Piece, end - first);
                var to = (byte*)Y.Address + first * Y.DType.Size();
                switch (Y.DType)
                {
                    case DType.F32:
                        Rows.FourBit(X, first, count, (float*)to);
                        break;
                    case DType.F64:
                        Rows.FourBit(X, first, count, floats);
                        TensorPrimitives.ConvertTruncating<float, double>(
                            new(floats, count), new Span<double>(to, count));
                        break;
                    default:
                        Rows.FourBit(X, first, count, floats);
                        WriteFloats(to, Y.DType, 0, new ReadOnlySpan<float>(floats, count));
                        break;
                }
            }
        }
    }
}
