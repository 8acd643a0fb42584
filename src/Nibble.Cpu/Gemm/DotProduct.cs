using System.Runtime.Intrinsics;
using Nibble.Cpu.Threading;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// Products with a few rows or a few columns, as dot products along K: packing would cost as much as the
/// multiplication. One token against a weight (decoding) and the thin side of LoRA come here.
/// </summary>
internal sealed unsafe partial class ProductEngine
{
    // Rows of A up to which a weight is read once as it lies.
    private const int MaxDotRows = 4;

    // Columns up to which rows of A are read as they lie.
    private const int MaxDotCols = 32;

    // Terms converted at a time when B is not floats: four rows of them stay in the first-level cache.
    private const int DotDepth = 1024;

    private bool TryRunDots(in Product p)
    {
        if (p.TransposeA)
        {
            return false;
        }

        if (p.TransposeB && (p.M <= MaxDotRows || (p.N <= MaxDotCols && p.B.IsDirect)))
        {
            RunDots(p, default, 0);
            return true;
        }

        var pitch = (p.K + PanelSlack - 1) / PanelSlack * PanelSlack;
        if (p.TransposeB || p.N > MaxDotCols || !p.B.IsDirect || (long)p.N * pitch > MaxBlockCols * MaxDepth)
        {
            return false;
        }

        // [K, N] to [N, K]: small against the product as soon as there are some rows.
        if (p.M < 2 * MaxDotRows)
        {
            return false;
        }

        for (var k = 0; k < p.K; k += _tiles.Lanes)
        {
            Strip(p.B.At(k, 0), p.B.Stride, Math.Min(_tiles.Lanes, p.K - k), p.N, _packedB + k, pitch);
        }

        RunDots(p, _packedB, pitch);
        return true;
    }

    private void RunDots(in Product p, float* b, nint bStride)
    {
        var tall = p.M > MaxDotRows;
        var tiles = ((tall ? p.M : p.N) + RowKernels.DotTile - 1) / RowKernels.DotTile;

        // A unit is worth a hand-over from about a hundred thousand multiplications.
        var worth = (long)p.M * p.N * p.K / 100_000 + 1;
        var units = (int)Math.Min(tiles, Math.Min(worth, 8L * _team.Size));
        _team.Run(
            new DotJob { Engine = this, P = p, B = b, BStride = bStride, Tall = tall, Tiles = tiles, Units = units },
            units);
    }

    private void RunDotTiles(
        in Product p, float* b, nint bStride, int row, int endRow, int col, int endCol, float* scratch)
    {
        const int Tile = RowKernels.DotTile;
        var depth = b != null || p.B.IsDirect ? p.K : DotDepth;
        float* sums = stackalloc float[Tile * Tile];
        float* one = stackalloc float[Tile * Tile];
        for (var j = col; j < endCol; j += Tile)
        {
            var cols = Math.Min(Tile, endCol - j);
            for (var k0 = 0; k0 < p.K; k0 += depth)
            {
                var k = Math.Min(depth, p.K - k0);
                var rowsOfB = scratch;
                var step = (nint)DotDepth;
                if (b != null)
                {
                    rowsOfB = b + j * bStride;
                    step = bStride;
                }
                else if (p.B.IsDirect)
                {
                    rowsOfB = p.B.At(j, 0);
                    step = p.B.Stride;
                }
                else
                {
                    for (var r = 0; r < cols; r++)
                    {
                        p.B.Read(_rows, j + r, k0, k, scratch + r * DotDepth);
                    }
                }

                for (var i = row; i < endRow; i += Tile)
                {
                    var rows = Math.Min(Tile, endRow - i);
                    var a = p.A + i * p.AStride + k0;
                    if (cols == Tile)
                    {
                        _rows.Dots(rows, a, p.AStride, rowsOfB, step, k, sums);
                    }
                    else
                    {
                        // Fewer than four rows of B: one of them four times.
                        for (var r = 0; r < cols; r++)
                        {
                            _rows.Dots(rows, a, p.AStride, rowsOfB + r * step, 0, k, one);
                            for (var x = 0; x < rows; x++)
                            {
                                sums[Tile * x + r] = one[Tile * x];
                            }
                        }
                    }

                    AddSums(p, i, rows, j, cols, k0 > 0, sums, _zeros);
                }
            }
        }
    }

    private static void AddSums(
        in Product p, int row, int rows, int col, int cols, bool later, float* sums, float* zeros)
    {
        for (var i = 0; i < rows; i++)
        {
            var c = p.C + (row + i) * p.CStride + col;
            if (cols == RowKernels.DotTile)
            {
                var start = later || p.Accumulate ? c : p.Bias == null ? zeros : p.Bias + col;
                var dots = Vector128.Load(sums + RowKernels.DotTile * i);
                (Vector128.Load(start) + dots * Vector128.Create(p.Alpha)).Store(c);
                continue;
            }

            for (var j = 0; j < cols; j++)
            {
                var init = later || p.Accumulate ? c[j] : p.Bias == null ? 0 : p.Bias[col + j];
                c[j] = init + p.Alpha * sums[RowKernels.DotTile * i + j];
            }
        }
    }

    private struct DotJob : IJob
    {
        public ProductEngine Engine;
        public Product P;
        public float* B;
        public nint BStride;
        public bool Tall;
        public int Tiles;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var first = Cut.Start(unit, Units, Tiles) * RowKernels.DotTile;
            var end = Cut.Start(unit + 1, Units, Tiles) * RowKernels.DotTile;
            var scratch = Engine.Scratch(worker);
            if (Tall)
            {
                Engine.RunDotTiles(P, B, BStride, first, Math.Min(end, P.M), 0, P.N, scratch);
            }
            else
            {
                Engine.RunDotTiles(P, B, BStride, 0, P.M, first, Math.Min(end, P.N), scratch);
            }
        }
    }
}
