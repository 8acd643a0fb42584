namespace Nibble.Ops;

/// <summary>Every case of every op: one list per file under <c>Ops/</c>.</summary>
public static class OpCases
{
    /// <summary>All cases.</summary>
    public static IReadOnlyList<OpCase> All { get; } =
    [
        .. RmsNormCases.All,
        .. RopeCases.All,
        .. RowsCases.All,
        .. EmbeddingCases.All,
        .. EmbeddingBackwardCases.All,
        .. ColumnSumCases.All,
        .. SwiGluCases.All,
        .. MatMulCases.All,
        .. LowRankBackwardCases.All,
        .. LinearCases.All,
        .. LinearLowRankCases.All,
        .. QuantizeCases.All,
        .. ElementwiseCases.All,
        .. CrossEntropyCases.All,
        .. AttentionCases.All,
        .. AdamWCases.All,
        .. TransferCases.All,
    ];
}
