using System.Globalization;
using Nibble.Checkpoints;
using Nibble.Models;

namespace Nibble.Validation;

/// <summary>Layers and projection sizes of a base model, from its <c>config.json</c>.</summary>
/// <param name="Layers">Decoder layers L.</param>
/// <param name="Width">Model width C.</param>
/// <param name="QueryWidth">H × D.</param>
/// <param name="KeyValueWidth">Hkv × D.</param>
/// <param name="MlpWidth">F.</param>
internal sealed record BaseModelShape(int Layers, int Width, int QueryWidth, int KeyValueWidth, int MlpWidth)
{
    private static readonly string[] _projections =
    [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
        "mlp.down_proj",
    ];

    internal static BaseModelShape Read(string folder)
    {
        var model = ModelConfig.Load(folder);
        return new BaseModelShape(
            model.Layers, model.HiddenSize, model.QueryWidth, model.KvWidth, model.IntermediateSize);
    }

    /// <summary>Every linear module of the decoder layers that a config targets.</summary>
    internal IEnumerable<(string Module, int Out, int In)> Targeted(LoraAdapterConfig config)
    {
        for (var layer = 0; layer < Layers; layer++)
        {
            if (config.LayersToTransform is { } chosen && !chosen.Contains(layer))
            {
                continue;
            }

            foreach (var projection in _projections)
            {
                var module = string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.{projection}");
                if (config.TargetModules.Any(t => LoraAdapter.Matches(module, t)))
                {
                    var (output, input) = Sizes(projection);
                    yield return (module, output, input);
                }
            }
        }
    }

    private (int Out, int In) Sizes(string projection) => projection switch
    {
        "self_attn.q_proj" => (QueryWidth, Width),
        "self_attn.k_proj" or "self_attn.v_proj" => (KeyValueWidth, Width),
        "self_attn.o_proj" => (Width, QueryWidth),
        "mlp.gate_proj" or "mlp.up_proj" => (MlpWidth, Width),
        "mlp.down_proj" => (Width, MlpWidth),
        _ => throw new ArgumentOutOfRangeException(nameof(projection), projection, "unknown projection"),
    };
}
