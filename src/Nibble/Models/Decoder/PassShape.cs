namespace Nibble.Models.Decoder;

/// <summary>What a pass computes, as far as its memory is concerned.</summary>
/// <param name="Tokens">T.</param>
/// <param name="Samples">Samples side by side.</param>
/// <param name="TrainedTokens">Positions with a target.</param>
/// <param name="LogitsChunk">Positions whose logits exist at a time.</param>
/// <param name="RecomputedLayers">Layers, from the first, whose activations are recomputed in the backward
/// pass; the others are kept.</param>
/// <param name="Backward">Whether gradients are computed.</param>
public readonly record struct PassShape(
    int Tokens, int Samples, int TrainedTokens, int LogitsChunk, int RecomputedLayers, bool Backward)
{
    /// <summary>Whether inputs of recomputed layers wait in pinned host memory for the backward pass; without one this
    /// has no meaning.</summary>
    public bool OffloadsInputs { get; init; }
}
