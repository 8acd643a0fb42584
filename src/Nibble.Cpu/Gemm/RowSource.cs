using Nibble.Tensors;

namespace Nibble.Cpu.Gemm;

/// <summary>A matrix of rows in any storage, read as floats.</summary>
internal readonly unsafe struct RowSource
{
    private readonly nint _address;
    private readonly nint _stride;
    private readonly bool _isBf16;
    private readonly QuantizedMatrix[]? _parts;

    /// <summary>A dense matrix.</summary>
    /// <param name="dense">F32 or BF16.</param>
    public RowSource(TensorView dense)
    {
        if (dense.DType is not (DType.F32 or DType.BF16))
        {
            throw new ShapeException($"matrix of a product: expected F32 or BF16, got {dense}");
        }

        (_address, _stride, _isBf16) = (dense.Address, dense.Stride, dense.DType == DType.BF16);
    }

    /// <summary>A frozen weight: its dense form when there is one, else its quantised parts.</summary>
    /// <param name="weight">The weight.</param>
    public RowSource(FrozenLinear weight)
    {
        if (weight.Dense.IsNone)
        {
            _parts = weight.Quantized;
        }
        else
        {
            this = new RowSource(weight.Dense);
        }
    }

    /// <summary>Whether rows are floats in memory: <see cref="At"/> and <see cref="Stride"/> hold.</summary>
    public bool IsDirect => _parts == null && !_isBf16;

    /// <summary>Floats from one row to the next.</summary>
    public nint Stride => _stride;

    /// <summary>Address of an element of a direct matrix.</summary>
    /// <param name="row">Row.</param>
    /// <param name="col">Column.</param>
    public float* At(int row, int col) => (float*)_address + row * _stride + col;

    /// <summary>Converts a piece of a row of a matrix that is not direct.</summary>
    /// <param name="kernels">Loops.</param>
    /// <param name="row">Row.</param>
    /// <param name="col">First column.</param>
    /// <param name="count">Columns.</param>
    /// <param name="destination">Floats.</param>
    public void Read(RowKernels kernels, int row, int col, int count, float* destination)
    {
        if (_parts == null)
        {
            kernels.WidenBf16((ushort*)_address + row * _stride + col, count, destination);
            return;
        }

        foreach (var part in _parts)
        {
            if (row < part.Rows)
            {
                kernels.FourBit(new FourBitRows(part), (long)row * part.Cols + col, count, destination);
                return;
            }

            row -= part.Rows;
        }
    }
}
