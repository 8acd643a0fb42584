using Nibble.Models.Lora;
using Nibble.Tensors;

namespace Nibble.Models.Quantization;

/// <summary>
/// Dense copies of 4-bit weights, for products that then need not dequantise. Those of adapted weights lie in one piece
/// of memory with their factors (<see cref="LoraGroup.Dense"/>).
/// </summary>
public static class ResidentWeights
{
    /// <summary>Lays the copies out.</summary>
    /// <param name="weights">4-bit weights.</param>
    /// <param name="lora">Adapters with at least as many joined layers, or null.</param>
    /// <param name="layers">Layers, from the first, that have copies.</param>
    /// <param name="activation">Type of the copies.</param>
    /// <param name="arena">Where those go that no adapter has room for.</param>
    /// <returns>[N, K] for each product of these layers, in forward order; rows may have a stride.</returns>
    public static TensorView[] Allocate(
        ModelWeights weights, LoraAdapters? lora, int layers, DType activation, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(arena);
        var copies = new List<TensorView>();
        for (var l = 0; l < layers; l++)
        {
            var (linears, groups) = (weights.Layers[l].Linears, lora?.Layers[l].ByProduct);
            for (var i = 0; i < linears.Count; i++)
            {
                copies.Add(groups?[i]?.Dense ?? arena.Allocate(activation, linears[i].Out, linears[i].In));
            }
        }

        return [.. copies];
    }

    /// <summary>Dequantises weights into their copies, which products use from now on.</summary>
    /// <param name="backend">Owner of the memory.</param>
    /// <param name="weights">4-bit weights, loaded.</param>
    /// <param name="copies">From <see cref="Allocate"/>.</param>
    public static void Fill(IBackend backend, ModelWeights weights, IReadOnlyList<TensorView> copies)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(weights);
        ArgumentNullException.ThrowIfNull(copies);
        foreach (var (linear, copy) in weights.Layers.SelectMany(l => l.Linears).Zip(copies))
        {
            var row = 0;
            foreach (var part in linear.Quantized)
            {
                Dequantize(backend, part, copy.RowRange(row, part.Rows));
                row += part.Rows;
            }

            linear.Dense = copy;
        }
    }

    // Rows with an adapter's behind them are not gapless, as dequantisation wants its output.
    private static void Dequantize(IBackend backend, QuantizedMatrix part, TensorView dense)
    {
        if (dense.IsContiguous)
        {
            backend.Dequantize4Bit(part, dense);
            return;
        }

        var gapless = new TensorView(backend.DequantizationScratch.Address, dense.DType, part.Rows, part.Cols);
        backend.Dequantize4Bit(part, gapless);
        backend.Convert(gapless, dense);
    }
}
