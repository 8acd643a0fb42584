using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>Parts of a pass, in order; the last three alternate from layer to layer.</summary>
[Flags]
internal enum PassPhase
{
    /// <summary>A layer's forward pass.</summary>
    LayerForward = 1,

    /// <summary>The last residual sum and its norm.</summary>
    FinalNorm = 2,

    /// <summary>Logits, loss, and the gradient of the final norm's output.</summary>
    Head = 4,

    /// <summary>The final norm's gradient, which starts the gradient of the residual stream.</summary>
    FinalNormBackward = 8,

    /// <summary>A layer's forward pass again.</summary>
    Recompute = 16,

    /// <summary>Gradients of a layer's MLP.</summary>
    MlpBackward = 32,

    /// <summary>Gradients of a layer's attention.</summary>
    AttentionBackward = 64,

    /// <summary>Every part of a layer's backward pass.</summary>
    LayerBackward = Recompute | MlpBackward | AttentionBackward,
}

/// <summary>
/// Memory of pieces that are not needed all the time: a piece starts after every earlier piece that has a phase in
/// common with it, so pieces without one share bytes. Places only move down when pieces shrink, in whatever proportion:
/// a pass smaller than the planned one always fits.
/// </summary>
/// <param name="arena">Where from; pieces start at what is used of it now.</param>
internal sealed class PassLifetimes(Arena arena)
{
    private readonly long _first = arena.Used;
    private readonly List<(PassPhase Lifetime, long End)> _pieces = [];

    /// <summary>A piece.</summary>
    /// <param name="lifetime">Phases from the first that writes it to the last that reads it; between two layers,
    /// every phase of a layer counts.</param>
    /// <param name="type">Element type.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns; 0 gives none.</param>
    public TensorView Take(PassPhase lifetime, DType type, int rows, int cols)
    {
        if (cols == 0)
        {
            return TensorView.None;
        }

        var start = _first;
        foreach (var (other, end) in _pieces)
        {
            if ((other & lifetime) != 0)
            {
                start = Math.Max(start, end);
            }
        }

        var view = arena.AllocateAt(start, type, rows, cols, out var last);
        _pieces.Add((lifetime, last));
        return view;
    }
}
