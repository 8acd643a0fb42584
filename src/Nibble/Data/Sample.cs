namespace Nibble.Data;

/// <summary>One tokenised row.</summary>
/// <param name="InputIds">Token ids, in order.</param>
/// <param name="Labels">The id at the same position where it trains, <see cref="Masked"/> elsewhere
/// (unshifted).</param>
/// <param name="Origin">Where the row came from, for messages: <c>train.jsonl:12</c>.</param>
public sealed record Sample(int[] InputIds, int[] Labels, string Origin)
{
    /// <summary>Label of a position that does not train.</summary>
    public const int Masked = -100;

    /// <summary>Predictions that train: labels other than <see cref="Masked"/> after the first position.</summary>
    public int TrainedTokens { get; } = Labels.AsSpan(1).Length - Labels.AsSpan(1).Count(Masked);
}
