using Nibble.Cpu.Threading;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// Products <c>aᵀ b</c> with few rows or columns: both operands lie as tiles read them, so nothing is
/// packed. The gradients of LoRA's factors come here; with few columns the transposed product is
/// computed and written back transposed.
/// </summary>
internal sealed unsafe partial class ProductEngine
{
    // Rows up to which reading B again for every tile of rows costs less than packing it.
    private const int MaxDirectRows = 32;

    // Terms of a column panel that fit into scratch memory beside a tile, for a panel at the edge.
    private const int MaxDirectDepth = 4096;

    private bool TryRunDirect(in Product p)
    {
        if (!p.TransposeA || p.TransposeB || !p.B.IsDirect || p.Bias != null || p.K > MaxDirectDepth)
        {
            return false;
        }

        var swapped = p.N < p.M;
        var (few, many) = swapped ? (p.N, p.M) : (p.M, p.N);
        if (few > MaxDirectRows)
        {
            return false;
        }

        var panels = (many + _panelCols - 1) / _panelCols;
        var worth = (long)p.M * p.N * p.K / 100_000 + 1;
        var units = (int)Math.Min(panels, Math.Min(worth, 8L * _team.Size));
        var b = p.B.At(0, 0);
        var job = new DirectJob
        {
            Engine = this,
            Rows = few,
            Cols = many,
            K = p.K,
            A = swapped ? b : p.A,
            AStep = swapped ? p.B.Stride : p.AStride,
            B = swapped ? p.A : b,
            BStep = swapped ? p.AStride : p.B.Stride,
            C = p.C,
            CStride = p.CStride,
            Alpha = p.Alpha,
            Accumulate = p.Accumulate,
            Swapped = swapped,
            Panels = panels,
            Units = units,
        };
        _team.Run(job, units);
        return true;
    }

    private struct DirectJob : IJob
    {
        public ProductEngine Engine;
        public int Rows;
        public int Cols;
        public int K;
        public float* A;
        public nint AStep;
        public float* B;
        public nint BStep;
        public float* C;
        public nint CStride;
        public float Alpha;
        public bool Accumulate;
        public bool Swapped;
        public int Panels;
        public int Units;

        public readonly void Run(int unit, int worker)
        {
            var width = Engine._panelCols;
            var scratch = Engine.Scratch(worker);
            var end = Cut.Start(unit + 1, Units, Panels);
            for (var panel = Cut.Start(unit, Units, Panels); panel < end; panel++)
            {
                var (b, step) = ((nint)(B + panel * width), BStep);
                var cols = Math.Min(width, Cols - panel * width);
                if (cols < width)
                {
                    Engine.CopyColumns((float*)b, BStep, cols, K, scratch + MaxDirectRows * width);
                    (b, step) = ((nint)(scratch + MaxDirectRows * width), width);
                }

                var tiles = Engine.RowPanels(Rows);
                for (var tile = 0; tile < tiles; tile++)
                {
                    var row = Cut.Start(tile, tiles, Rows);
                    RunTile(row, Cut.Start(tile + 1, tiles, Rows) - row, panel * width, cols, (float*)b, step, scratch);
                }
            }
        }

        private readonly void RunTile(int row, int rows, int col, int cols, float* b, nint bStep, float* tile)
        {
            var width = Engine._panelCols;
            var zeros = Engine._zeros;
            if (!Swapped && cols == width)
            {
                var c = C + row * CStride + col;
                var (init, initStep) = Accumulate ? ((nint)c, CStride) : ((nint)zeros, 0);
                Engine._tiles.Run(rows, true, A + row, AStep, b, bStep, K, Alpha, (float*)init, initStep, c, CStride);
                return;
            }

            Engine._tiles.Run(rows, true, A + row, AStep, b, bStep, K, Alpha, zeros, 0, tile, width);
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < cols; j++)
                {
                    var c = Swapped ? C + (col + j) * CStride + row + i : C + (row + i) * CStride + col + j;
                    *c = (Accumulate ? *c : 0) + tile[i * width + j];
                }
            }
        }
    }
}
