using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>Keys (rotated) and values of one sequence, per layer.</summary>
public sealed class KvCache
{
    private readonly TensorView[] _keys;
    private readonly TensorView[] _values;

    /// <summary>Takes memory for a sequence.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="capacity">Most tokens.</param>
    /// <param name="arena">Where from.</param>
    public KvCache(ModelConfig config, DType activation, int capacity, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(arena);
        Capacity = capacity;
        _keys = new TensorView[config.Layers];
        _values = new TensorView[config.Layers];
        for (var l = 0; l < config.Layers; l++)
        {
            _keys[l] = arena.Allocate(activation, capacity, config.KvWidth);
            _values[l] = arena.Allocate(activation, capacity, config.KvWidth);
        }
    }

    /// <summary>Most tokens.</summary>
    public int Capacity { get; }

    /// <summary>Tokens held.</summary>
    public int Length { get; internal set; }

    /// <summary>Keys of a layer, [capacity, Hkv D].</summary>
    internal TensorView Keys(int layer) => _keys[layer];

    /// <summary>Values of a layer, [capacity, Hkv D].</summary>
    internal TensorView Values(int layer) => _values[layer];

    /// <summary>Forgets everything.</summary>
    public void Clear() => Length = 0;
}
