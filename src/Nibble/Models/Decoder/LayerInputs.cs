using Nibble.Tensors;

namespace Nibble.Models.Decoder;

/// <summary>
/// Inputs of the recomputed layers when they wait on the host: on the device they take turns in a few slots. An input
/// leaves while its layer and the next are computed, and comes back while the layer above it goes through its backward
/// pass. A slot is touched only after <see cref="Claim"/>, which waits for the copy out of it or into it.
/// </summary>
internal sealed class LayerInputs
{
    /// <summary>Inputs on the device at a time: one in use and one on its way.</summary>
    public const int Slots = 2;

    private readonly int _lowestLayer;
    private readonly TensorView[] _slots;
    private readonly TensorView[] _host;
    private readonly Transfer[] _underWay;

    private LayerInputs(int lowestLayer, TensorView[] slots, TensorView[] host) =>
        (_lowestLayer, _slots, _host, _underWay) = (lowestLayer, slots, host, new Transfer[slots.Length]);

    /// <summary>Takes the memory.</summary>
    /// <param name="layers">Recomputed layers, from the first.</param>
    /// <param name="lowestLayer">The backward pass ends here: inputs of lower layers never come back.</param>
    /// <param name="activation">Activation type.</param>
    /// <param name="tokens">T.</param>
    /// <param name="width">C.</param>
    /// <param name="arena">Device memory.</param>
    /// <param name="host">Pinned host memory.</param>
    public static LayerInputs Allocate(
        int layers, int lowestLayer, DType activation, int tokens, int width, Arena arena, Arena host)
    {
        var slots = new TensorView[Math.Min(Slots, layers)];
        for (var i = 0; i < slots.Length; i++)
        {
            slots[i] = arena.Allocate(activation, tokens, width);
        }

        // The last inputs are still in their slots when the backward pass begins.
        var hosted = new TensorView[layers];
        for (var l = lowestLayer; l < layers - slots.Length; l++)
        {
            hosted[l] = host.Allocate(activation, tokens, width);
        }

        return new LayerInputs(lowestLayer, slots, hosted);
    }

    /// <summary>Where a layer's input is, on the device, from its <see cref="Claim"/> to the next one's of the same
    /// slot.</summary>
    /// <param name="layer">Layer.</param>
    public TensorView this[int layer] => _slots[layer % _slots.Length];

    /// <summary>Before the first op that writes or reads a layer's input, in either direction.</summary>
    /// <param name="backend">Device.</param>
    /// <param name="layer">Any layer.</param>
    public void Claim(IBackend backend, int layer)
    {
        if (layer < _host.Length)
        {
            backend.Await(_underWay[layer % _slots.Length]);
        }
    }

    /// <summary>After a layer's input was written in the forward pass.</summary>
    /// <param name="backend">Device.</param>
    /// <param name="layer">Any layer.</param>
    public void Written(IBackend backend, int layer)
    {
        if (layer < _host.Length && !_host[layer].IsNone)
        {
            _underWay[layer % _slots.Length] = backend.Offload(this[layer], _host[layer]);
        }
    }

    /// <summary>After the backward pass has read a layer's input for the last time.</summary>
    /// <param name="backend">Device.</param>
    /// <param name="layer">Any layer.</param>
    public void Used(IBackend backend, int layer)
    {
        var next = layer - _slots.Length;
        if (layer < _host.Length && next >= _lowestLayer)
        {
            _underWay[layer % _slots.Length] = backend.Fetch(_host[next], this[next]);
        }
    }
}
