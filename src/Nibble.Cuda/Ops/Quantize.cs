using System.Runtime.InteropServices;
using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string QuantizeFile = "Quantize.cu";

    // Words of eight codes that a block of dequantize_4bit covers: 256 threads, four words each.
    private const int DequantizeWordsPerBlock = 1024;

    private readonly Kernel _quantize4Bit = new(QuantizeFile, "quantize_4bit");
    private readonly Kernel _absMaxMean = new(QuantizeFile, "absmax_mean");
    private readonly Kernel _quantizeAbsMax = new(QuantizeFile, "quantize_absmax");
    private readonly Kernel _dequantize4Bit = new(QuantizeFile, "dequantize_4bit");
    private readonly Kernel _dequantize4BitBytes = new(QuantizeFile, "dequantize_4bit_bytes");

    /// <inheritdoc/>
    public void Quantize4Bit(TensorView x, FourBitCode code, TensorView codes, TensorView absMax)
    {
        if (x.DType is not (DType.F32 or DType.BF16 or DType.F16))
        {
            throw new ShapeException($"x: expected F32, BF16 or F16, got {x}");
        }

        Guard.Contiguous(x);
        Guard.Type(codes, DType.U8);
        Guard.Shape(codes, 1, checked((int)((x.Count + 1) / 2)));
        Guard.Type(absMax, DType.F32);
        Guard.Shape(absMax, 1, QuantizedMatrix.BlockCount(x.Count));
        if (x.Count == 0)
        {
            return;
        }

        var isFp4 = code == FourBitCode.Fp4;
        _context.Launch(
            _quantize4Bit, ActivationType, Layout.Grid((long)absMax.Cols * 32),
            x, (int)x.DType, x.Count, isFp4 ? _tables.Fp4Boundaries : _tables.Nf4Boundaries,
            isFp4 ? CodeTables.Fp4Boundaries.Length : CodeTables.Nf4Boundaries.Length, isFp4 ? _tables.Fp4Indices : 0,
            codes, absMax);
    }

    /// <inheritdoc/>
    public float QuantizeAbsMax(TensorView absMax, TensorView codes, TensorView nestedAbsMax)
    {
        Guard.Type(absMax, DType.F32);
        Guard.Shape(absMax, 1, absMax.Cols);
        Guard.Type(codes, DType.U8);
        Guard.Shape(codes, 1, absMax.Cols);
        Guard.Type(nestedAbsMax, DType.F32);
        var blocks = (absMax.Cols + QuantizedMatrix.NestedBlockSize - 1) / QuantizedMatrix.NestedBlockSize;
        Guard.Shape(nestedAbsMax, 1, blocks);
        if (blocks == 0)
        {
            return 0;
        }

        var mean = new TensorView(_tables.PartialSums, DType.F32, 1, 1);
        _context.Launch(_absMaxMean, ActivationType, LaunchShape.Of(1, 1024), absMax, absMax.Cols, mean);
        _context.Launch(
            _quantizeAbsMax, ActivationType, LaunchShape.Of(blocks, QuantizedMatrix.NestedBlockSize),
            absMax, absMax.Cols, mean, _tables.SignedBoundaries, codes, nestedAbsMax);
        Span<float> offset = stackalloc float[1];
        Download(mean, MemoryMarshal.AsBytes(offset));
        return offset[0];
    }

    /// <inheritdoc/>
    public void Dequantize4Bit(QuantizedMatrix x, TensorView y)
    {
        ArgumentNullException.ThrowIfNull(x);
        CheckActivation(y, nameof(y));
        Guard.Contiguous(y);
        Guard.Shape(y, x.Rows, x.Cols);
        Guard.Type(x.Codes, DType.U8);
        Guard.Shape(x.Codes, 1, checked((int)((y.Count + 1) / 2)));
        Guard.Type(x.AbsMax, x.IsNested ? DType.U8 : DType.F32);
        Guard.Shape(x.AbsMax, 1, QuantizedMatrix.BlockCount(y.Count));
        if (y.Count == 0)
        {
            return;
        }

        var words = y.Count / 8;
        if (y.Count % 8 == 0 && x.Codes.Address % sizeof(uint) == 0 && y.Address % 16 == 0 && words <= uint.MaxValue)
        {
            _context.Launch(
                _dequantize4Bit, y.DType,
                LaunchShape.Of((words + DequantizeWordsPerBlock - 1) / DequantizeWordsPerBlock, Layout.Threads),
                x.Codes, x.AbsMax, x.NestedAbsMax, x.NestedMap, x.Offset, _tables.Values(x.Code), y, words);
        }
        else
        {
            _context.Launch(
                _dequantize4BitBytes, y.DType, Layout.Grid((y.Count + 1) / 2),
                x.Codes, x.AbsMax, x.NestedAbsMax, x.NestedMap, x.Offset, _tables.Values(x.Code), y, y.Count);
        }
    }
}
