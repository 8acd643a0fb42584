using System.Runtime.InteropServices;
using Nibble.Cpu.Simd;
using Nibble.Cpu.Threading;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// Matrix products. Which path a product takes, and the order of every sum, depends on shapes and instruction set only.
/// </summary>
internal sealed unsafe partial class ProductEngine : IDisposable
{
    /// <summary>Floats of scratch memory of each member of the team.</summary>
    public const int ScratchFloats = 256 * 1024;

    // Terms of a sum that stay in a packed panel: a panel of B of this depth is about the first-level cache.
    private const int MaxDepth = 384;

    // Rows of A and columns of B that are packed at a time: together a few megabytes of last-level cache.
    private const int MaxBlockRows = 2016;
    private const int MaxBlockCols = 4096;

    private readonly ThreadTeam _team;
    private readonly TileKernels _tiles;
    private readonly RowKernels _rows;
    private readonly InstructionSet _set;
    private readonly int _panelCols;
    private readonly float* _packedA;
    private readonly float* _packedB;
    private readonly float* _zeros;
    private readonly float*[] _scratch;
    private bool _disposed;

    /// <summary>Takes packing memory, which the system backs when it is first used.</summary>
    /// <param name="set">Instruction set.</param>
    /// <param name="team">Who works.</param>
    /// <param name="rows">Row loops of the same instruction set.</param>
    public ProductEngine(InstructionSet set, ThreadTeam team, RowKernels rows)
    {
        (_set, _team, _rows) = (set, team, rows);
        _tiles = TileKernels.For(set);
        _panelCols = 2 * _tiles.Lanes;
        var panels = (MaxBlockRows + _tiles.MaxRows - 1) / _tiles.MaxRows;
        _packedA = Take(MaxBlockRows * MaxDepth + panels * PanelSlack + PanelSlack);
        _packedB = Take(MaxBlockCols * MaxDepth + PanelSlack);
        _zeros = Take(64);
        new Span<float>(_zeros, 64).Clear();
        _scratch = new float*[team.Size];
        for (var i = 0; i < team.Size; i++)
        {
            _scratch[i] = Take(ScratchFloats);
        }
    }

    /// <summary>The register tiles, for ops that block their own products.</summary>
    public TileKernels Tiles => _tiles;

    /// <summary>A row of zeros as long as the widest tile.</summary>
    public float* Zeros => _zeros;

    /// <summary>Scratch memory of a member of the team; its content is whatever was there.</summary>
    /// <param name="worker">Which member.</param>
    public float* Scratch(int worker) => _scratch[worker];

    /// <summary>Computes a product.</summary>
    /// <param name="p">What to compute.</param>
    public void Run(in Product p)
    {
        if (p.M == 0 || p.N == 0)
        {
            return;
        }

        if (p.K == 0)
        {
            WriteInit(p);
        }
        else if (!TryRunDots(p) && !TryRunDirect(p))
        {
            RunPacked(p);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        NativeMemory.AlignedFree(_packedA);
        NativeMemory.AlignedFree(_packedB);
        NativeMemory.AlignedFree(_zeros);
        foreach (var scratch in _scratch)
        {
            NativeMemory.AlignedFree(scratch);
        }
    }

    private static float* Take(int floats) => (float*)NativeMemory.AlignedAlloc((nuint)floats * sizeof(float), 64);

    private static void WriteInit(in Product p)
    {
        for (var i = 0; i < p.M && !p.Accumulate; i++)
        {
            var row = new Span<float>(p.C + i * p.CStride, p.N);
            if (p.Bias == null)
            {
                row.Clear();
            }
            else
            {
                new ReadOnlySpan<float>(p.Bias, p.N).CopyTo(row);
            }
        }
    }
}
