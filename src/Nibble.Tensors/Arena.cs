namespace Nibble.Tensors;

/// <summary>
/// Hands out pieces of one allocation, last in first out. An arena without memory only counts: planning runs the same
/// allocation code as training and reads <see cref="Peak"/>.
/// </summary>
public sealed class Arena
{
    /// <summary>Alignment of every piece in bytes.</summary>
    public const int Alignment = 256;

    private readonly nint _base;

    /// <summary>An arena over real memory.</summary>
    /// <param name="memory">The allocation; the arena does not own it.</param>
    public Arena(DeviceMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        (_base, Capacity) = (memory.Address, memory.Bytes);
    }

    private Arena() => (_base, Capacity) = (Alignment, long.MaxValue);

    /// <summary>An arena that counts and has no memory; its views must never reach a backend.</summary>
    public static Arena Counting() => new();

    /// <summary>Bytes in all.</summary>
    public long Capacity { get; }

    /// <summary>Bytes handed out now.</summary>
    public long Used { get; private set; }

    /// <summary>Most bytes ever handed out.</summary>
    public long Peak { get; private set; }

    /// <summary>A fresh piece; its content is whatever was there.</summary>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <exception cref="OutOfArenaException">The plan reserved less than is asked for.</exception>
    public TensorView Allocate(DType type, int rows, int cols) => AllocateAt(Used, type, rows, cols, out _);

    /// <summary>A piece at a chosen place, which may be that of another piece: for memory whose lifetimes never
    /// meet.</summary>
    /// <param name="start">First byte, counted from the arena's; a multiple of <see cref="Alignment"/>, and at most
    /// <see cref="Used"/>, which grows when the piece ends beyond it.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="end">The byte after the piece, where another may start.</param>
    /// <exception cref="ArgumentOutOfRangeException">Another start.</exception>
    /// <exception cref="OutOfArenaException">The plan reserved less than is asked for.</exception>
    public TensorView AllocateAt(long start, DType type, int rows, int cols, out long end)
    {
        if (start < 0 || start > Used || start % Alignment != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(start), $"expected a multiple of {Alignment} in 0..{Used}, got {start}");
        }

        var bytes = ((long)rows * cols * type.Size() + Alignment - 1) / Alignment * Alignment;
        if (start + bytes > Capacity)
        {
            throw new OutOfArenaException(
                $"the memory plan reserved {Capacity} bytes; "
                + $"{start} are in use and {bytes} more were asked for [{rows}, {cols}] {type}");
        }

        end = start + bytes;
        Used = Math.Max(Used, end);
        Peak = Math.Max(Peak, Used);
        return new TensorView(_base + (nint)start, type, rows, cols);
    }

    /// <summary>Returns everything handed out since <see cref="Used"/> read <paramref name="mark"/>.</summary>
    /// <param name="mark">An earlier value of <see cref="Used"/>.</param>
    public void Release(long mark)
    {
        if (mark < 0 || mark > Used)
        {
            throw new ArgumentOutOfRangeException(nameof(mark), $"expected 0..{Used}, got {mark}");
        }

        Used = mark;
    }
}

/// <summary>A plan reserved less memory than a pass used: a defect, never the user's doing.</summary>
/// <param name="message">Reserved, used and asked for.</param>
public sealed class OutOfArenaException(string message) : InvalidOperationException(message);
