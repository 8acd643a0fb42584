namespace Nibble.Tensors;

/// <summary>
/// A row-major matrix in some backend's memory: <see cref="Rows"/> × <see cref="Cols"/> elements, rows
/// <see cref="Stride"/> elements apart. A vector is one row. The view owns nothing and is only meaningful to the
/// backend that made the address.
/// </summary>
public readonly record struct TensorView
{
    /// <summary>A view of existing memory.</summary>
    /// <param name="address">Address of the first element, aligned to the element size.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Number of rows, at least 0.</param>
    /// <param name="cols">Elements of a row, at least 0.</param>
    /// <param name="stride">Elements from one row to the next, at least <paramref name="cols"/>.</param>
    /// <exception cref="ArgumentException">A negative extent, or a stride shorter than a row.</exception>
    public TensorView(nint address, DType type, int rows, int cols, int stride)
    {
        if (rows < 0 || cols < 0 || stride < cols)
        {
            throw new ArgumentException(
                $"expected rows, cols >= 0 and stride >= cols, got [{rows}, {cols}] stride {stride}");
        }

        (Address, DType, Rows, Cols, Stride) = (address, type, rows, cols, stride);
    }

    /// <summary>A view of existing memory without gaps between rows.</summary>
    /// <param name="address">Address of the first element.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="cols">Elements of a row.</param>
    public TensorView(nint address, DType type, int rows, int cols)
        : this(address, type, rows, cols, cols)
    {
    }

    /// <summary>Address of the first element.</summary>
    public nint Address { get; }

    /// <summary>Element type.</summary>
    public DType DType { get; }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Elements of a row.</summary>
    public int Cols { get; }

    /// <summary>Elements from one row to the next.</summary>
    public int Stride { get; }

    /// <summary>An absent optional argument.</summary>
    public static TensorView None => default;

    /// <summary>Whether this is an absent argument.</summary>
    public bool IsNone => Address == 0;

    /// <summary>Elements, gaps not counted.</summary>
    public long Count => (long)Rows * Cols;

    /// <summary>Bytes of a gapless tensor of this shape.</summary>
    public long Bytes => Count * DType.Size();

    /// <summary>Whether rows follow each other without gaps.</summary>
    public bool IsContiguous => Stride == Cols || Rows <= 1;

    /// <summary>Rows <paramref name="start"/> … of this view.</summary>
    /// <param name="start">First row.</param>
    /// <param name="count">Number of rows.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the view.</exception>
    public TensorView RowRange(int start, int count)
    {
        CheckRange(start, count, Rows, "row");
        return new TensorView(Address + (nint)((long)start * Stride * DType.Size()), DType, count, Cols, Stride);
    }

    /// <summary>Columns <paramref name="start"/> … of every row.</summary>
    /// <param name="start">First column.</param>
    /// <param name="count">Number of columns.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the view.</exception>
    public TensorView ColRange(int start, int count)
    {
        CheckRange(start, count, Cols, "column");
        return new TensorView(Address + start * DType.Size(), DType, Rows, count, Stride);
    }

    /// <summary>The same memory seen with another shape.</summary>
    /// <param name="rows">New number of rows.</param>
    /// <param name="cols">New number of columns; rows × cols must equal <see cref="Count"/>.</param>
    /// <exception cref="ArgumentException">The view has gaps, or the counts differ.</exception>
    public TensorView Reshape(int rows, int cols)
    {
        if (!IsContiguous || (long)rows * cols != Count)
        {
            throw new ArgumentException($"expected a gapless view of {(long)rows * cols} elements, got {this}");
        }

        return new TensorView(Address, DType, rows, cols);
    }

    /// <summary>Type and shape, e.g. <c>F32 [512, 2048] stride 4096</c>.</summary>
    public override string ToString() =>
        IsNone ? "none" : $"{DType} [{Rows}, {Cols}]{(IsContiguous ? "" : $" stride {Stride}")}";

    private static void CheckRange(int start, int count, int extent, string what)
    {
        if (start < 0 || count < 0 || start + (long)count > extent)
        {
            throw new ArgumentOutOfRangeException(
                what, $"expected a range within 0..{extent}, got {start}..{start + (long)count}");
        }
    }
}
