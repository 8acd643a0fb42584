using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>Tokens that a pass appends to one sequence of a cache.</summary>
/// <param name="Sequence">Number of the sequence.</param>
/// <param name="Tokens">How many, at least one.</param>
public readonly record struct CachedRun(int Sequence, int Tokens);

/// <summary>Keys (rotated) and values of sequences, per layer; each sequence has rows of its own.</summary>
public sealed class KvCache
{
    private readonly TensorView[] _keys;
    private readonly TensorView[] _values;
    private readonly int[] _starts;
    private readonly int[] _lengths;

    /// <summary>Takes memory for sequences.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="capacities">Most tokens of each sequence.</param>
    /// <param name="arena">Where from.</param>
    public KvCache(ModelConfig config, DType activation, ReadOnlySpan<int> capacities, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(arena);
        _starts = new int[capacities.Length + 1];
        _lengths = new int[capacities.Length];
        for (var s = 0; s < capacities.Length; s++)
        {
            _starts[s + 1] = _starts[s] + capacities[s];
        }

        _keys = new TensorView[config.Layers];
        _values = new TensorView[config.Layers];
        for (var l = 0; l < config.Layers; l++)
        {
            _keys[l] = arena.Allocate(activation, _starts[^1], config.KvWidth);
            _values[l] = arena.Allocate(activation, _starts[^1], config.KvWidth);
        }
    }

    /// <summary>Sequences.</summary>
    public int Sequences => _lengths.Length;

    /// <summary>Most tokens of a sequence.</summary>
    /// <param name="sequence">Its number.</param>
    public int Capacity(int sequence) => _starts[sequence + 1] - _starts[sequence];

    /// <summary>Tokens held of a sequence.</summary>
    /// <param name="sequence">Its number.</param>
    public int Length(int sequence) => _lengths[sequence];

    /// <summary>First row of a sequence.</summary>
    internal int Start(int sequence) => _starts[sequence];

    /// <summary>Counts tokens as held.</summary>
    internal void Grow(in CachedRun run) => _lengths[run.Sequence] += run.Tokens;

    /// <summary>Keys of a layer, [capacities in all, Hkv D].</summary>
    internal TensorView Keys(int layer) => _keys[layer];

    /// <summary>Values of a layer, [capacities in all, Hkv D].</summary>
    internal TensorView Values(int layer) => _values[layer];
}
