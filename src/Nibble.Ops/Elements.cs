using Nibble.Tensors;

namespace Nibble.Ops;

/// <summary>Element access to a view in host memory, every number as a double; for clarity, never for speed.</summary>
internal readonly unsafe struct Elements(TensorView view)
{
    private readonly byte* _first = (byte*)view.Address;

    public int Rows => view.Rows;

    public int Cols => view.Cols;

    public double this[int row, int col]
    {
        get
        {
            var at = Index(row, col);
            return view.DType switch
            {
                DType.F64 => ((double*)_first)[at],
                DType.F32 => ((float*)_first)[at],
                DType.BF16 => Bf16.ToSingle(((ushort*)_first)[at]),
                DType.F16 => (double)((Half*)_first)[at],
                DType.I32 => ((int*)_first)[at],
                _ => _first[at],
            };
        }

        set
        {
            var at = Index(row, col);
            switch (view.DType)
            {
                case DType.F64:
                    ((double*)_first)[at] = value;
                    break;
                case DType.F32:
                    ((float*)_first)[at] = (float)value;
                    break;
                case DType.BF16:
                    ((ushort*)_first)[at] = Bf16.FromSingle((float)value);
                    break;
                case DType.F16:
                    ((Half*)_first)[at] = (Half)(float)value;
                    break;
                case DType.I32:
                    ((int*)_first)[at] = checked((int)value);
                    break;
                default:
                    _first[at] = checked((byte)value);
                    break;
            }
        }
    }

    /// <summary>An element of a vector.</summary>
    public double this[int col]
    {
        get => this[0, col];
        set => this[0, col] = value;
    }

    /// <summary>An element of a vector of ids, positions or boundaries.</summary>
    public int Int(int col) => (int)this[0, col];

    /// <summary>All rows, copied.</summary>
    public double[][] ToRows()
    {
        var rows = new double[Rows][];
        for (var i = 0; i < Rows; i++)
        {
            rows[i] = new double[Cols];
            for (var j = 0; j < Cols; j++)
            {
                rows[i][j] = this[i, j];
            }
        }

        return rows;
    }

    private long Index(int row, int col) => row >= 0 && row < view.Rows && col >= 0 && col < view.Cols
        ? (long)row * view.Stride + col
        : throw new ArgumentOutOfRangeException(nameof(row), $"expected an element of {view}, got [{row}, {col}]");
}
