using System.Runtime.Intrinsics.Arm;
using Nibble.Cpu.Simd;
using unsafe Tile = delegate*<float*, nint, float*, nint, nint, float, float*, nint, float*, nint, void>;

namespace Nibble.Cpu.Gemm;

/// <summary>
/// The register tiles of an instruction set. A tile computes
/// <c>c[i, j] = init[i, j] + alpha · Σ_k a[k · aStep + i] · b[k · bStep + j]</c> for a fixed number of rows i
/// and one or two vectors of columns j, k ascending, each product added with one rounding. Every element's sum
/// is the same whatever tile it falls in.
/// </summary>
internal sealed unsafe class TileKernels
{
    private readonly Tile[] _narrow;
    private readonly Tile[] _wide;

    private TileKernels(int lanes, int maxRows, Tile[] narrow, Tile[] wide) =>
        (Lanes, MaxRows, _narrow, _wide) = (lanes, maxRows, narrow, wide);

    /// <summary>Columns of a narrow tile; a wide one has twice as many.</summary>
    public int Lanes { get; }

    /// <summary>Most rows of a tile.</summary>
    public int MaxRows { get; }

    /// <summary>The tiles of an instruction set.</summary>
    /// <param name="set">A set this machine supports.</param>
    public static TileKernels For(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => new(16, Tile512.MaxRows, Narrow512(), Wide512()),
        InstructionSet.Avx2 => new(8, Tile256.MaxRows, Narrow256(), Wide256()),
        InstructionSet.Vector128 => new(4, AdvSimd.IsSupported ? Tile128.MaxRows : 6, Narrow128(), Wide128()),
        _ => new(1, TileScalar.MaxRows, NarrowScalar(), WideScalar()),
    };

    /// <summary>Runs a tile.</summary>
    /// <param name="rows">1 … <see cref="MaxRows"/>.</param>
    /// <param name="wide">Two vectors of columns instead of one.</param>
    /// <param name="a">First element of A.</param>
    /// <param name="aStep">From one k to the next.</param>
    /// <param name="b">First element of B.</param>
    /// <param name="bStep">From one k to the next.</param>
    /// <param name="k">Terms of the sum.</param>
    /// <param name="alpha">Factor.</param>
    /// <param name="init">Added; a step of 0 repeats one row.</param>
    /// <param name="initStep">From one row to the next.</param>
    /// <param name="c">Result; may be <paramref name="init"/>.</param>
    /// <param name="cStep">From one row to the next.</param>
    public void Run(
        int rows, bool wide, float* a, nint aStep, float* b, nint bStep, nint k, float alpha,
        float* init, nint initStep, float* c, nint cStep) =>
        (wide ? _wide : _narrow)[rows - 1](a, aStep, b, bStep, k, alpha, init, initStep, c, cStep);

    private static Tile[] Narrow512() =>
    [
        &Tile512.Run<Count.C1, Count.C1>, &Tile512.Run<Count.C2, Count.C1>,
        &Tile512.Run<Count.C3, Count.C1>, &Tile512.Run<Count.C4, Count.C1>,
        &Tile512.Run<Count.C5, Count.C1>, &Tile512.Run<Count.C6, Count.C1>,
        &Tile512.Run<Count.C7, Count.C1>, &Tile512.Run<Count.C8, Count.C1>,
        &Tile512.Run<Count.C9, Count.C1>, &Tile512.Run<Count.C10, Count.C1>,
        &Tile512.Run<Count.C11, Count.C1>, &Tile512.Run<Count.C12, Count.C1>,
        &Tile512.Run<Count.C13, Count.C1>, &Tile512.Run<Count.C14, Count.C1>,
    ];

    private static Tile[] Wide512() =>
    [
        &Tile512.Run<Count.C1, Count.C2>, &Tile512.Run<Count.C2, Count.C2>,
        &Tile512.Run<Count.C3, Count.C2>, &Tile512.Run<Count.C4, Count.C2>,
        &Tile512.Run<Count.C5, Count.C2>, &Tile512.Run<Count.C6, Count.C2>,
        &Tile512.Run<Count.C7, Count.C2>, &Tile512.Run<Count.C8, Count.C2>,
        &Tile512.Run<Count.C9, Count.C2>, &Tile512.Run<Count.C10, Count.C2>,
        &Tile512.Run<Count.C11, Count.C2>, &Tile512.Run<Count.C12, Count.C2>,
        &Tile512.Run<Count.C13, Count.C2>, &Tile512.Run<Count.C14, Count.C2>,
    ];

    private static Tile[] Narrow256() =>
    [
        &Tile256.Run<Count.C1, Count.C1>, &Tile256.Run<Count.C2, Count.C1>,
        &Tile256.Run<Count.C3, Count.C1>, &Tile256.Run<Count.C4, Count.C1>,
        &Tile256.Run<Count.C5, Count.C1>, &Tile256.Run<Count.C6, Count.C1>,
    ];

    private static Tile[] Wide256() =>
    [
        &Tile256.Run<Count.C1, Count.C2>, &Tile256.Run<Count.C2, Count.C2>,
        &Tile256.Run<Count.C3, Count.C2>, &Tile256.Run<Count.C4, Count.C2>,
        &Tile256.Run<Count.C5, Count.C2>, &Tile256.Run<Count.C6, Count.C2>,
    ];

    private static Tile[] Narrow128() =>
    [
        &Tile128.Run<Count.C1, Count.C1>, &Tile128.Run<Count.C2, Count.C1>,
        &Tile128.Run<Count.C3, Count.C1>, &Tile128.Run<Count.C4, Count.C1>,
        &Tile128.Run<Count.C5, Count.C1>, &Tile128.Run<Count.C6, Count.C1>,
        &Tile128.Run<Count.C7, Count.C1>, &Tile128.Run<Count.C8, Count.C1>,
        &Tile128.Run<Count.C9, Count.C1>, &Tile128.Run<Count.C10, Count.C1>,
        &Tile128.Run<Count.C11, Count.C1>, &Tile128.Run<Count.C12, Count.C1>,
    ];

    private static Tile[] Wide128() =>
    [
        &Tile128.Run<Count.C1, Count.C2>, &Tile128.Run<Count.C2, Count.C2>,
        &Tile128.Run<Count.C3, Count.C2>, &Tile128.Run<Count.C4, Count.C2>,
        &Tile128.Run<Count.C5, Count.C2>, &Tile128.Run<Count.C6, Count.C2>,
        &Tile128.Run<Count.C7, Count.C2>, &Tile128.Run<Count.C8, Count.C2>,
        &Tile128.Run<Count.C9, Count.C2>, &Tile128.Run<Count.C10, Count.C2>,
        &Tile128.Run<Count.C11, Count.C2>, &Tile128.Run<Count.C12, Count.C2>,
    ];

    private static Tile[] NarrowScalar() =>
    [
        &TileScalar.Run<Count.C1, Count.C1>, &TileScalar.Run<Count.C2, Count.C1>,
        &TileScalar.Run<Count.C3, Count.C1>, &TileScalar.Run<Count.C4, Count.C1>,
    ];

    private static Tile[] WideScalar() =>
    [
        &TileScalar.Run<Count.C1, Count.C2>, &TileScalar.Run<Count.C2, Count.C2>,
        &TileScalar.Run<Count.C3, Count.C2>, &TileScalar.Run<Count.C4, Count.C2>,
    ];
}
