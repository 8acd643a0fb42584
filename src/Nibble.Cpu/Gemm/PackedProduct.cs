using Nibble.Cpu.Threading;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// The general path: blocks of A and B are packed into panels by the whole team, then tiles run over them.
/// After K. Goto, R. van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008).
/// </summary>
internal sealed unsafe partial class ProductEngine
{
    // Rows of A whose panels stay in the second-level cache while panels of B pass by.
    private const int MaxGroupRows = 280;

    // Panels packed by one unit.
    private const int PackedTogether = 2;

    private void RunPacked(in Product p)
    {
        var depths = (p.K + MaxDepth - 1) / MaxDepth;
        for (var col = 0; col < p.N; col += MaxBlockCols)
        {
            for (var row = 0; row < p.M; row += MaxBlockRows)
            {
                for (var depth = 0; depth < depths; depth++)
                {
                    var k0 = Cut.Start(depth, depths, p.K);
                    var block = new Block
                    {
                        Row = row,
                        Rows = Math.Min(MaxBlockRows, p.M - row),
                        Col = col,
                        Cols = Math.Min(MaxBlockCols, p.N - col),
                        K0 = k0,
                        K = Cut.Start(depth + 1, depths, p.K) - k0,
                    };
                    RunBlock(p, block);
                }
            }
        }
    }

    private void RunBlock(in Product p, in Block block)
    {
        var rowPanels = RowPanels(block.Rows);
        var colPanels = (block.Cols + _panelCols - 1) / _panelCols;
        var packA = (rowPanels + PackedTogether - 1) / PackedTogether;
        var packB = (colPanels + PackedTogether - 1) / PackedTogether;
        _team.Run(new PackJob { Engine = this, P = p, Block = block, UnitsOfA = packA }, packA + packB);

        // Enough units for the team to even out, each large enough to pay for being taken.
        var rowGroups = (block.Rows + MaxGroupRows - 1) / MaxGroupRows;
        while (rowGroups * colPanels < 12 * _team.Size && rowGroups * 4 < rowPanels)
        {
            rowGroups++;
        }

        var wanted = Math.Max(1, 24 * _team.Size / rowGroups);
        var colGroups = Math.Min(colPanels, wanted);
        _team.Run(
            new TileJob { Engine = this, P = p, Block = block, RowGroups = rowGroups, ColGroups = colGroups },
            rowGroups * colGroups);
    }

    private void RunTiles(
        in Product p, in Block block, int firstPanel, int endPanel, int firstCol, int endCol, float* edge)
    {
        var panels = RowPanels(block.Rows);
        for (var panel = firstCol; panel < endCol; panel++)
        {
            var j = panel * _panelCols;
            var width = Math.Min(_panelCols, block.Cols - j);
            var b = _packedB + (nint)panel * block.K * _panelCols;
            for (var i = firstPanel; i < endPanel; i++)
            {
                var start = Cut.Start(i, panels, block.Rows);
                var rows = Cut.Start(i + 1, panels, block.Rows) - start;
                var a = _packedA + (nint)start * block.K + i * PanelSlack;
                var c = p.C + (block.Row + start) * p.CStride + block.Col + j;
                var init = c;
                var initStep = p.CStride;
                if (block.K0 == 0 && !p.Accumulate)
                {
                    init = p.Bias == null ? _zeros : p.Bias + block.Col + j;
                    initStep = 0;
                }

                RunTile(rows, width, a, rows, b, block.K, p.Alpha, init, initStep, c, p.CStride, edge);
            }
        }
    }

    // A tile whose columns may be fewer than a panel's: then through a full tile on the side.
    private void RunTile(
        int rows, int width, float* a, nint aStep, float* b, nint k, float alpha, float* init, nint initStep, float* c,
        nint cStep, float* edge)
    {
        var wide = width > _tiles.Lanes;
        if (width == _panelCols || width == _tiles.Lanes)
        {
            _tiles.Run(rows, wide, a, aStep, b, _panelCols, k, alpha, init, initStep, c, cStep);
            return;
        }

        for (var i = 0; i < rows; i++)
        {
            new ReadOnlySpan<float>(init + i * initStep, width).CopyTo(new Span<float>(edge + i * _panelCols, width));
        }

        _tiles.Run(rows, wide, a, aStep, b, _panelCols, k, alpha, edge, _panelCols, edge, _panelCols);
        for (var i = 0; i < rows; i++)
        {
            new ReadOnlySpan<float>(edge + i * _panelCols, width).CopyTo(new Span<float>(c + i * cStep, width));
        }
    }

    private struct Block
    {
        public int Row;
        public int Rows;
        public int Col;
        public int Cols;
        public int K0;
        public int K;
    }

    private struct PackJob : IJob
    {
        public ProductEngine Engine;
        public Product P;
        public Block Block;
        public int UnitsOfA;

        public readonly void Run(int unit, int worker)
        {
            var e = Engine;
            if (unit < UnitsOfA)
            {
                var panels = e.RowPanels(Block.Rows);
                var end = Math.Min(panels, (unit + 1) * PackedTogether);
                for (var i = unit * PackedTogether; i < end; i++)
                {
                    var start = Cut.Start(i, panels, Block.Rows);
                    var rows = Cut.Start(i + 1, panels, Block.Rows) - start;
                    var d = e._packedA + (nint)start * Block.K + i * PanelSlack;
                    e.PackPanelOfA(P, Block.Row + start, rows, Block.K0, Block.K, d);
                }

                return;
            }

            var col = (unit - UnitsOfA) * PackedTogether * e._panelCols;
            var cols = Math.Min(PackedTogether * e._panelCols, Block.Cols - col);
            e.PackPanelsOfB(
                P, Block.Col + col, cols, Block.K0, Block.K, e._packedB + (nint)col * Block.K, e.Scratch(worker));
        }
    }

    private struct TileJob : IJob
    {
        public ProductEngine Engine;
        public Product P;
        public Block Block;
        public int RowGroups;
        public int ColGroups;

        public readonly void Run(int unit, int worker)
        {
            var rowPanels = Engine.RowPanels(Block.Rows);
            var colPanels = (Block.Cols + Engine._panelCols - 1) / Engine._panelCols;
            var (row, col) = (unit / ColGroups, unit % ColGroups);
            Engine.RunTiles(
                P, Block, Cut.Start(row, RowGroups, rowPanels), Cut.Start(row + 1, RowGroups, rowPanels),
                Cut.Start(col, ColGroups, colPanels), Cut.Start(col + 1, ColGroups, colPanels), Engine.Scratch(worker));
        }
    }
}
