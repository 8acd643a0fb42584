using Nibble.Data;
using Nibble.Models.Decoder;

namespace Nibble.Planning;

/// <summary>One line of the byte ledger.</summary>
/// <param name="Item">What.</param>
/// <param name="Bytes">How much.</param>
public sealed record LedgerItem(string Item, long Bytes);

/// <summary>How a run uses its device.</summary>
public sealed record MemoryPlan
{
    /// <summary>Most tokens of a training pass; a step's micro-batches share passes up to this.</summary>
    public required int PassTokens { get; init; }

    /// <summary>Most tokens of an evaluation pass.</summary>
    public required int EvalPassTokens { get; init; }

    /// <summary>Positions whose logits exist at a time.</summary>
    public required int LogitsChunk { get; init; }

    /// <summary>Layers, from the first, whose activations are recomputed.</summary>
    public required int RecomputedLayers { get; init; }

    /// <summary>Whether the inputs of recomputed layers wait in pinned host memory for the backward pass.</summary>
    public bool OffloadsInputs { get; init; }

    /// <summary>Layers, from the first, whose quantised weights also stay dequantised.</summary>
    public required int ResidentLayers { get; init; }

    /// <summary>Whether the embedding table lives in pinned host memory.</summary>
    public required bool TableOnHost { get; init; }

    /// <summary>Bytes of the training pass's arena share.</summary>
    public required long PassBytes { get; init; }

    /// <summary>Bytes of pinned host memory that a training pass takes.</summary>
    public long PassHostBytes { get; init; }

    /// <summary>Bytes of pinned host memory, item by item; no part of the device's.</summary>
    public IReadOnlyList<LedgerItem> HostLedger { get; init; } = [];

    /// <summary>Device bytes, item by item.</summary>
    public required IReadOnlyList<LedgerItem> Ledger { get; init; }

    /// <summary>Predicted seconds of an average optimizer step, or null where the device's rates are unknown.</summary>
    public required double? StepSeconds { get; init; }

    /// <summary>Device bytes in all.</summary>
    public long TotalBytes => Ledger.Sum(i => i.Bytes);

    /// <summary>The shape of a training pass over a batch.</summary>
    /// <param name="batch">At most <see cref="PassTokens"/>.</param>
    public PassShape TrainingShape(Batch batch) =>
        DecoderModel.Shape(batch, LogitsChunk, RecomputedLayers, backward: true, OffloadsInputs);
}

/// <summary>No plan fits the budget.</summary>
/// <param name="message">Needed, available, the largest items, what to do.</param>
public sealed class MemoryPlanException(string message) : Exception(message);
