using Nibble.Cpu.Gemm;
using Nibble.Cpu.Threading;

namespace Nibble.Cpu;

/// <summary>Which keys of a sample a query of it sees.</summary>
/// <param name="offset">Keys before the first query: m - n.</param>
/// <param name="window">Latest keys a query sees, or 0.</param>
internal readonly struct VisibleKeys(int offset, int window)
{
    /// <summary>First key that a query sees.</summary>
    public int First(int query) => window == 0 ? 0 : Math.Max(0, query + offset - window + 1);

    /// <summary>One past the last key that a query sees.</summary>
    public int End(int query) => Math.Max(0, query + offset + 1);

    /// <summary>First query that sees a key.</summary>
    public int FirstQuery(int key) => Math.Max(0, key - offset);

    /// <summary>One past the last query that sees a key.</summary>
    public int EndQuery(int key) => window == 0 ? int.MaxValue : Math.Max(0, key - offset + window);
}

/// <summary>
/// The products of one block of queries against one block of keys, over a member's scratch memory. Matrices of scores
/// have <see cref="Width"/> floats a row, matrices of head vectors <see cref="Pitch"/>.
/// </summary>
internal readonly unsafe struct AttentionBlock
{
    /// <summary>Queries, and keys, of a block.</summary>
    public const int Width = 64;

    /// <summary>Widest head.</summary>
    public const int MaxHeadDim = 256;

    /// <summary>Score of a key that is not seen: e^(this - any real score) is 0.</summary>
    public const float Hidden = -1e30f;

    // Head vectors of a block, rounded up to panels.
    private const int Vectors = Width * (MaxHeadDim + 32);

    private readonly ProductEngine _engine;
    private readonly float* _memory;
    private readonly int _d;
    private readonly int _panelCols;

    /// <summary>Lays out scratch memory.</summary>
    /// <param name="engine">Tiles and packing.</param>
    /// <param name="memory"><see cref="ProductEngine.ScratchFloats"/> floats.</param>
    /// <param name="d">Head width.</param>
    public AttentionBlock(ProductEngine engine, float* memory, int d)
    {
        _engine = engine;
        _memory = memory;
        _d = d;
        _panelCols = 2 * engine.Tiles.Lanes;
        Pitch = (d + _panelCols - 1) / _panelCols * _panelCols;
    }

    /// <summary>Floats between head vectors here: the head width in whole panels.</summary>
    public int Pitch { get; }

    /// <summary>Four rows of one float a query.</summary>
    public float* PerQuery => _memory;

    /// <summary>Scores.</summary>
    public float* Scores => _memory + 4 * Width;

    /// <summary>Gradients of scores.</summary>
    public float* Slopes => Scores + Width * Width;

    /// <summary>Packed rows of the A operand of scores.</summary>
    public float* PackedRows => Slopes + Width * Width;

    /// <summary>Packed columns, first and second.</summary>
    public float* Columns(int which) => PackedRows + (1 + which) * Vectors;

    /// <summary>Sums of head vectors, first and second.</summary>
    public float* Output(int which) => PackedRows + (3 + which) * Vectors;

    private float* Padded => PackedRows + 5 * Vectors;

    /// <summary>Packs head vectors as the columns of scores.</summary>
    public void Pack(float* rows, nint stride, int count, float* columns)
    {
        for (var j = 0; j < count; j += _panelCols)
        {
            _engine.PackColumns(rows + j * stride, stride, Math.Min(_panelCols, count - j), _d, columns + j * _d);
        }
    }

    /// <summary>
    /// <c>scores[r, c] = scale · rows[r] · columns[c]</c>; tiles that nobody sees are left out.
    /// </summary>
    /// <param name="rows">Head vectors.</param>
    /// <param name="stride">Floats between them.</param>
    /// <param name="rowCount">How many.</param>
    /// <param name="columns">From <see cref="Pack"/>.</param>
    /// <param name="colCount">How many.</param>
    /// <param name="scale">Factor.</param>
    /// <param name="scores">Result.</param>
    /// <param name="view">Limits of the columns that a row meets.</param>
    public void Multiply<TView>(
        float* rows, nint stride, int rowCount, float* columns, int colCount, float scale, float* scores, TView view)
        where TView : struct, IBlockView
    {
        var panels = (rowCount + _engine.Tiles.MaxRows - 1) / _engine.Tiles.MaxRows;
        for (var panel = 0; panel < panels; panel++)
        {
            var r = Cut.Start(panel, panels, rowCount);
            var count = Cut.Start(panel + 1, panels, rowCount) - r;
            var (first, end) = (view.First(r, count), view.End(r, count, colCount));
            if (first >= end)
            {
                continue;
            }

            _engine.PackRows(rows + r * stride, stride, count, _d, PackedRows);
            for (var c = first / _panelCols * _panelCols; c < end; c += _panelCols)
            {
                _engine.Tiles.Run(
                    count, true, PackedRows, count, columns + c * _d, _panelCols, _d, scale, _engine.Zeros, 0,
                    scores + r * Width + c, Width);
            }
        }
    }

    /// <summary>Writes a value where a row does not meet a column.</summary>
    public static void Mask<TView>(float* scores, int rowCount, int colCount, float value, TView view)
        where TView : struct, IBlockView
    {
        for (var r = 0; r < rowCount; r++)
        {
            var (first, end) = (Math.Min(view.First(r, 1), colCount), view.End(r, 1, colCount));
            new Span<float>(scores + r * Width, first).Fill(value);
            end = Math.Max(first, end);
            new Span<float>(scores + r * Width + end, colCount - end).Fill(value);
        }
    }

    /// <summary>
    /// <c>output[c] += Σ_r scores[r, c] · rows[r]</c>, r ascending; rows that no column of a tile meets are left out.
    /// </summary>
    public void AddProduct<TView>(
        float* scores, float* rows, nint stride, int rowCount, int colCount, float* output, TView view)
        where TView : struct, IBlockView
    {
        if (_d != Pitch)
        {
            for (var r = 0; r < rowCount; r++)
            {
                var padded = new Span<float>(Padded + r * Pitch, Pitch);
                new ReadOnlySpan<float>(rows + r * stride, _d).CopyTo(padded);
                padded[_d..].Clear();
            }

            rows = Padded;
            stride = Pitch;
        }

        var panels = (colCount + _engine.Tiles.MaxRows - 1) / _engine.Tiles.MaxRows;
        for (var panel = 0; panel < panels; panel++)
        {
            var c = Cut.Start(panel, panels, colCount);
            var count = Cut.Start(panel + 1, panels, colCount) - c;
            var (first, end) = (0, rowCount);
            while (first < end && !Meets(view, first, c, count, colCount))
            {
                first++;
            }

            while (first < end && !Meets(view, end - 1, c, count, colCount))
            {
                end--;
            }

            if (first >= end)
            {
                continue;
            }

            for (var d = 0; d < Pitch; d += _panelCols)
            {
                var target = output + c * Pitch + d;
                _engine.Tiles.Run(
                    count, true, scores + first * Width + c, Width, rows + first * stride + d, stride,
                    end - first, 1, target, Pitch, target, Pitch);
            }
        }
    }

    private static bool Meets<TView>(TView view, int row, int col, int count, int colCount)
        where TView : struct, IBlockView => view.First(row, 1) < col + count && view.End(row, 1, colCount) > col;
}

/// <summary>Which columns of a block of scores the rows meet.</summary>
internal interface IBlockView
{
    /// <summary>The first column that any of some rows meets, or more than there are.</summary>
    int First(int row, int rows);

    /// <summary>One past the last column that any of some rows meets, at most <paramref name="cols"/>.</summary>
    int End(int row, int rows, int cols);
}

/// <summary>Rows are keys, columns are queries.</summary>
/// <param name="keys">Visibility.</param>
/// <param name="firstKey">Key of row 0.</param>
/// <param name="firstQuery">Query of column 0.</param>
internal readonly struct KeysByQueries(VisibleKeys keys, int firstKey, int firstQuery) : IBlockView
{
    /// <inheritdoc/>
    public int First(int row, int rows) => Math.Max(0, keys.FirstQuery(firstKey + row) - firstQuery);

    /// <inheritdoc/>
    public int End(int row, int rows, int cols) =>
        (int)Math.Clamp((long)keys.EndQuery(firstKey + row + rows - 1) - firstQuery, 0, cols);
}

/// <summary>Rows are queries, columns are keys.</summary>
/// <param name="keys">Visibility.</param>
/// <param name="firstQuery">Query of row 0.</param>
/// <param name="firstKey">Key of column 0.</param>
internal readonly struct QueriesByKeys(VisibleKeys keys, int firstQuery, int firstKey) : IBlockView
{
    /// <inheritdoc/>
    public int First(int row, int rows) => Math.Max(0, keys.First(firstQuery + row) - firstKey);

    /// <inheritdoc/>
    public int End(int row, int rows, int cols) =>
        Math.Clamp(keys.End(firstQuery + row + rows - 1) - firstKey, 0, cols);
}
