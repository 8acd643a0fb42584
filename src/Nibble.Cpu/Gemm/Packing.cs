using Nibble.Cpu.Simd;

namespace Nibble.Cpu.Gemm;

internal sealed unsafe partial class ProductEngine
{
    // A panel's last vector stores spill at most one vector behind it.
    private const int PanelSlack = 16;

    private int RowPanels(int rows) => (rows + _tiles.MaxRows - 1) / _tiles.MaxRows;

    /// <summary>Packs rows as the A operand of tiles: <c>d[k · rows + i] = s[i · sStride + k]</c>.</summary>
    /// <param name="s">Row-major source.</param>
    /// <param name="sStride">Floats between its rows.</param>
    /// <param name="rows">At most a tile's rows.</param>
    /// <param name="k">Columns.</param>
    /// <param name="d">rows · k floats and <see cref="PanelSlack"/> more.</param>
    public void PackRows(float* s, nint sStride, int rows, int k, float* d) => Strip(s, sStride, rows, k, d, rows);

    /// <summary>Packs rows as columns of the B operand:
    /// <c>d[k · panelCols + j] = s[j · sStride + k]</c>, absent columns 0.</summary>
    /// <param name="s">Row-major source.</param>
    /// <param name="sStride">Floats between its rows.</param>
    /// <param name="cols">At most a panel's columns.</param>
    /// <param name="k">Terms.</param>
    /// <param name="d">k · panel columns floats.</param>
    public void PackColumns(float* s, nint sStride, int cols, int k, float* d)
    {
        var lanes = _tiles.Lanes;
        for (var j = 0; j < _panelCols; j += lanes)
        {
            if (j < cols)
            {
                Strip(s + j * sStride, sStride, Math.Min(lanes, cols - j), k, d + j, _panelCols);
            }
            else
            {
                for (var i = 0; i < k; i++)
                {
                    new Span<float>(d + i * _panelCols + j, lanes).Clear();
                }
            }
        }
    }

    /// <summary>Packs a panel of B stored by rows:
    /// <c>d[k · panelCols + j] = s[k · sStride + j]</c>, absent columns 0.</summary>
    /// <param name="s">Row-major source.</param>
    /// <param name="sStride">Floats between its rows.</param>
    /// <param name="cols">At most a panel's columns.</param>
    /// <param name="k">Terms.</param>
    /// <param name="d">k · panel columns floats.</param>
    public void CopyColumns(float* s, nint sStride, int cols, int k, float* d)
    {
        if (cols == _panelCols)
        {
            _rows.CopyRows(s, sStride, cols, k, d, _panelCols);
            return;
        }

        for (; k > 0; k--, s += sStride, d += _panelCols)
        {
            for (var j = 0; j < _panelCols; j++)
            {
                d[j] = j < cols ? s[j] : 0;
            }
        }
    }

    private void Strip(float* s, nint sStride, int rows, int cols, float* d, nint dStep)
    {
        if (_set == InstructionSet.Avx512)
        {
            Transpose.Avx512(s, sStride, rows, cols, d, dStep);
        }
        else if (_set == InstructionSet.Avx2)
        {
            Transpose.Avx256(s, sStride, rows, cols, d, dStep);
        }
        else
        {
            Transpose.Scalar(s, sStride, rows, cols, d, dStep, Math.Max(rows, Math.Min(_tiles.Lanes, (int)dStep)));
        }
    }

    private void PackPanelOfA(in Product p, int row, int rows, int k0, int k, float* d)
    {
        if (!p.TransposeA)
        {
            PackRows(p.A + row * p.AStride + k0, p.AStride, rows, k, d);
            return;
        }

        // Whole vectors where A has that many columns left; what spills is overwritten by the next k.
        var s = p.A + k0 * p.AStride + row;
        var vectors = (rows + _tiles.Lanes - 1) / _tiles.Lanes * _tiles.Lanes;
        if (row + vectors <= p.M)
        {
            _rows.CopyRows(s, p.AStride, vectors, k, d, rows);
            return;
        }

        for (; k > 0; k--, s += p.AStride, d += rows)
        {
            for (var i = 0; i < rows; i++)
            {
                d[i] = s[i];
            }
        }
    }

    // Columns col … of B for terms k0 … in whole panels, each k · panelCols floats.
    private void PackPanelsOfB(in Product p, int col, int cols, int k0, int k, float* d, float* scratch)
    {
        if (p.TransposeB)
        {
            for (var j = 0; j < cols; j += _panelCols, d += (nint)k * _panelCols)
            {
                var width = Math.Min(_panelCols, cols - j);
                if (p.B.IsDirect)
                {
                    PackColumns(p.B.At(col + j, k0), p.B.Stride, width, k, d);
                    continue;
                }

                for (var r = 0; r < width; r++)
                {
                    p.B.Read(_rows, col + j + r, k0, k, scratch + r * MaxDepth);
                }

                PackColumns(scratch, MaxDepth, width, k, d);
            }

            return;
        }

        if (p.B.IsDirect)
        {
            for (var j = 0; j < cols; j += _panelCols, d += (nint)k * _panelCols)
            {
                CopyColumns(p.B.At(k0, col + j), p.B.Stride, Math.Min(_panelCols, cols - j), k, d);
            }

            return;
        }

        for (var i = 0; i < k; i++)
        {
            p.B.Read(_rows, k0 + i, col, cols, scratch);
            for (var j = 0; j < cols; j += _panelCols)
            {
                CopyColumns(scratch + j, 0, Math.Min(_panelCols, cols - j), 1, d + (nint)j * k + i * _panelCols);
            }
        }
    }
}
