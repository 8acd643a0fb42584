namespace Nibble.Tensors;

/// <summary>4-bit code of a quantised matrix.</summary>
public enum FourBitCode
{
    /// <summary>4-bit NormalFloat (Dettmers et al., "QLoRA", 2023, appendix E).</summary>
    Nf4,

    /// <summary>4-bit floating point of bitsandbytes.</summary>
    Fp4,
}

/// <summary>
/// A matrix [N, K] in bitsandbytes' 4-bit layout: the row-major values in blocks of 64, two codes a byte, first in the
/// high nibble. A block's scale is <c>absmax[b]</c>, or with nested absmax
/// <c>fl(fl(map[q[b]] · nested[b / 256]) + offset)</c>, each operation rounded to binary32.
/// Source: bitsandbytes <c>functional.py</c> quantize_4bit / dequantize_4bit.
/// </summary>
/// <param name="Code">Code table.</param>
/// <param name="Rows">N.</param>
/// <param name="Cols">K.</param>
/// <param name="Codes">U8 [1, (N K + 1) / 2].</param>
/// <param name="AbsMax">F32 [1, ceil(N K / 64)], or U8 of that shape when nested.</param>
/// <param name="NestedAbsMax">F32 [1, ceil(blocks / 256)], or none.</param>
/// <param name="NestedMap">F32 [1, 256], or none.</param>
/// <param name="Offset">Added to a nested scale.</param>
public sealed record QuantizedMatrix(
    FourBitCode Code,
    int Rows,
    int Cols,
    TensorView Codes,
    TensorView AbsMax,
    TensorView NestedAbsMax,
    TensorView NestedMap,
    float Offset)
{
    /// <summary>Values that share a scale.</summary>
    public const int BlockSize = 64;

    /// <summary>Scales that share a nested scale.</summary>
    public const int NestedBlockSize = 256;

    /// <summary>Whether the scales are themselves quantised.</summary>
    public bool IsNested => !NestedAbsMax.IsNone;

    /// <summary>Blocks of a matrix of <paramref name="count"/> values.</summary>
    /// <param name="count">N K.</param>
    public static int BlockCount(long count) => checked((int)((count + BlockSize - 1) / BlockSize));
}

/// <summary>
/// The frozen weight of one product: one or more matrices [N_i, K] stacked by rows (q, k, v; gate, up), with an
/// optional bias over all N rows. Either quantised, or dense, or quantised with a dense copy kept resident.
/// </summary>
public sealed class FrozenLinear
{
    /// <summary>A dense weight.</summary>
    /// <param name="dense">F32 or BF16 [N, K].</param>
    /// <param name="bias">[1, N] in the activation type or F32, or none.</param>
    public FrozenLinear(TensorView dense, TensorView bias) =>
        (Out, In, Dense, Bias, Quantized) = (dense.Rows, dense.Cols, dense, bias, []);

    /// <summary>A quantised weight.</summary>
    /// <param name="parts">Matrices of equal K, stacked by rows.</param>
    /// <param name="bias">[1, N] in the activation type or F32, or none.</param>
    /// <exception cref="ShapeException">No parts, or their K differ.</exception>
    public FrozenLinear(IReadOnlyList<QuantizedMatrix> parts, TensorView bias)
    {
        ArgumentNullException.ThrowIfNull(parts);
        if (parts.Count == 0 || parts.Any(p => p.Cols != parts[0].Cols))
        {
            throw new ShapeException("expected one or more matrices of equal K, got "
                + string.Join(", ", parts.Select(p => $"[{p.Rows}, {p.Cols}]")));
        }

        (Out, In, Bias, Quantized) = (parts.Sum(p => p.Rows), parts[0].Cols, bias, [.. parts]);
    }

    /// <summary>N, rows of the stacked matrices.</summary>
    public int Out { get; }

    /// <summary>K.</summary>
    public int In { get; }

    /// <summary>The weight as numbers, or none. For a quantised weight the plan may
    /// keep a resident copy here.</summary>
    public TensorView Dense { get; set; }

    /// <summary>[1, N] or none.</summary>
    public TensorView Bias { get; }

    /// <summary>Quantised parts, top to bottom; empty for a weight that never was quantised.</summary>
    public QuantizedMatrix[] Quantized { get; }
}
