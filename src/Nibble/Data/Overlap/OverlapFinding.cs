namespace Nibble.Data.Overlap;

/// <summary>Why a passage counts as holding a held-out row.</summary>
public enum OverlapKind
{
    /// <summary>The share of the row's shingles reaches the threshold.</summary>
    NearDuplicate,

    /// <summary>The row's whole answer is there, and it is long enough to tell.</summary>
    SameAnswer,

    /// <summary>The row's whole request is there, and it is long enough to tell.</summary>
    SameRequest,

    /// <summary>None of these: the closest pair below the threshold.</summary>
    None,
}

/// <summary>A passage beside a held-out row.</summary>
/// <param name="Where">File and line of the passage.</param>
/// <param name="HeldOut">File and line of the held-out row.</param>
/// <param name="Containment">Share of the row's shingles that the passage holds, 0 to 1.</param>
/// <param name="Kind">Why it counts.</param>
public sealed record OverlapFinding(string Where, string HeldOut, double Containment, OverlapKind Kind);

/// <summary>What a scan found.</summary>
/// <param name="Passages">Rows, or paragraphs of plain text, that were read.</param>
/// <param name="Dropped">Those that hold a held-out row, or a piece of one that runs over two paragraphs.</param>
/// <param name="HeldOutRows">Held-out rows that occur.</param>
/// <param name="Findings">Passages that hold a row: for each row the one that holds most of it.</param>
/// <param name="Closest">The pair with the largest containment that does not count, or null when no shingle is
/// shared.</param>
public sealed record OverlapReport(
    long Passages,
    long Dropped,
    int HeldOutRows,
    IReadOnlyList<OverlapFinding> Findings,
    OverlapFinding? Closest);
