using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Cuda;

public sealed partial class CudaBackend
{
    private const string OuterFile = "MatMulOuter.cu";
    private const int OuterThreads = 128;
    private const int OuterRows = 64;
    private const int OuterColumns = 128;

    // Longest sum, and fewest columns, where nothing is added: beyond them the library is as fast or faster.
    private const int OuterDepth = 64;
    private const int OuterMinColumns = 256;

    // By longest sum: 32, 64, any.
    private readonly Kernel[] _outerNn =
    [
        new(OuterFile, "outer_nn", "WIDTH=32"), new(OuterFile, "outer_nn", "WIDTH=64"),
        new(OuterFile, "outer_nn", "WIDTH=64", "WALK=1"),
    ];

    private readonly Kernel[] _outerNt =
    [
        new(OuterFile, "outer_nt", "WIDTH=32"), new(OuterFile, "outer_nt", "WIDTH=64"),
        new(OuterFile, "outer_nt", "WIDTH=64", "WALK=1"),
    ];

    // A short sum over many columns, what a LoRA product adds to its output, or any that the library would round before
    // it adds; else false. 16-byte pieces must not straddle an edge.
    private bool TryOuter(in Product product)
    {
        var (a, b, c) = (product.A, product.B, product.C);
        var small = product.Depth <= OuterDepth && c.Cols >= OuterMinColumns && product.Bias.IsNone;
        if (product.TransposeA || product.Depth == 0 || !(small || Products.RoundsTwice(product))
            || a.DType != DType.BF16 || b.DType != DType.BF16 || c.DType != DType.BF16
            || !Layout.IsWide(a) || !Layout.IsWide(b) || !Layout.IsWide(c))
        {
            return false;
        }

        var walks = product.Depth > OuterDepth || !product.Bias.IsNone;
        var width = product.Depth <= 32 && !walks ? 32 : 64;
        var kernel = (product.TransposeB ? _outerNt : _outerNn)[walks ? 2 : width / 64];
        var shared = (OuterRows + OuterColumns) * width * sizeof(ushort);
        for (var first = 0; first < c.Rows; first += MaxGridYz * OuterRows)
        {
            var rows = Math.Min(c.Rows - first, MaxGridYz * OuterRows);
            _context.Launch(
                kernel, DType.U8,
                new LaunchShape(
                    (uint)Tiles(c.Cols, OuterColumns), (uint)Tiles(rows, OuterRows), 1, OuterThreads, (uint)shared),
                a.RowRange(first, rows), a.Stride, b, b.Stride, c.RowRange(first, rows), c.Stride, rows, c.Cols,
                product.Depth, product.Alpha, product.Accumulate, product.Bias, (int)product.Bias.DType);
        }

        return true;
    }
}
