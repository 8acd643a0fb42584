using System.Globalization;
using Nibble.Tensors;

namespace Nibble.Models.Full;

/// <summary>
/// Every weight of a model, trained: masters, gradients and what the decoder reads. Masters and gradients are laid out
/// as a model of their own in F32, so a stacked weight has a stacked gradient and one product serves q, k and v. Where
/// the decoder computes in F32 it reads the masters themselves; elsewhere it reads copies in the activation type. Names
/// are those of the model folder; a tied head is the embedding table and has one gradient.
/// </summary>
public sealed class FullParameters
{
    private FullParameters(
        ModelWeights weights, ModelWeights masters, ModelWeights gradients, ParameterSet parameters) =>
        (Weights, Masters, Gradients, Parameters) = (weights, masters, gradients, parameters);

    /// <summary>What the decoder reads; the same object as <see cref="Masters"/> on an F32 device.</summary>
    public ModelWeights Weights { get; }

    /// <summary>F32 weights the optimizer updates; the loader fills them.</summary>
    public ModelWeights Masters { get; }

    /// <summary>F32 gradients, in the places of their weights.</summary>
    public ModelWeights Gradients { get; }

    /// <summary>All trained tensors.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Trained elements.</summary>
    public long TrainableCount => Parameters.Slots.Sum(s => (long)s.Count);

    /// <summary>How weights that are trained are held.</summary>
    /// <param name="activation">The device's activation type.</param>
    public static WeightFormat Format(DType activation) => new(null, false, activation, activation, activation);

    /// <summary>Lays out everything; call <see cref="Clear"/> before anything else.</summary>
    /// <param name="config">Architecture.</param>
    /// <param name="activation">The device's activation type.</param>
    /// <param name="arena">Where everything goes.</param>
    /// <exception cref="ModelFormatException">The weights are saved in 4 bits, or more than a
    /// flat buffer can number.</exception>
    public static FullParameters Allocate(ModelConfig config, DType activation, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(arena);
        RequireTrainable(config);
        var (masters, master) = Flat(config, arena);
        var (gradients, gradient) = Flat(config, arena);
        var weights =
            activation == DType.F32 ? masters : ModelWeights.Allocate(config, Format(activation), arena, arena);
        var slots = masters.DenseTensors().Zip(weights.DenseTensors(), (m, w) => new ParameterSlot(
            m.Name,
            checked((int)((m.View.Address - master.Address) / sizeof(float))),
            m.View.Rows,
            m.View.Cols,
            activation == DType.F32 ? TensorView.None : w.View,
            ComputeScale: 1,
            LearningRateRatio: 1,
            Decays(m.Name))
        {
            KeepsFullState = m.Name == ModelWeights.EmbeddingName,
        });
        return new FullParameters(weights, masters, gradients, new ParameterSet([.. slots], master, gradient));
    }

    /// <summary>Refuses a model whose every weight cannot be trained; reads and allocates nothing.</summary>
    /// <param name="config">Architecture.</param>
    /// <exception cref="ModelFormatException">The weights are saved in 4 bits, or are more than a
    /// flat buffer can number.</exception>
    public static void RequireTrainable(ModelConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (config.Quantization is { } saved)
        {
            throw new ModelFormatException(
                $"base_model: its weights are saved as {saved.Code}, and 4-bit weights cannot be trained. "
                + "Add adapter: lora, or name the unquantised model.");
        }

        if (FlatCount(config) > int.MaxValue)
        {
            throw new ModelFormatException(
                "adapter: none, so every weight trains, "
                + $"which is possible up to {Billions(int.MaxValue)} parameters; base_model has "
                + $"{Billions(config.ParameterCount)}. Add adapter: lora (and load_in_4bit: true to save memory), "
                + "or name a smaller model.");
        }
    }

    /// <summary>Zeroes masters and gradients, the gaps between tensors among them.</summary>
    /// <param name="backend">Owner of the memory.</param>
    public void Clear(IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(backend);
        backend.Zero(Parameters.Master);
        backend.Zero(Parameters.Gradient);
    }

    /// <summary>Whether weight decay applies: not to norms and biases. Source: transformers
    /// <c>Trainer.get_decay_parameter_names</c>.</summary>
    /// <param name="name">Name of a tensor.</param>
    public static bool Decays(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return !name.Contains("norm", StringComparison.Ordinal) && !name.EndsWith(".bias", StringComparison.Ordinal);
    }

    // A model's tensors in F32, one after the other, and the same memory as one row.
    private static (ModelWeights Weights, TensorView Flat) Flat(ModelConfig config, Arena arena)
    {
        var first = arena.Used;
        var weights = ModelWeights.Allocate(config, Format(DType.F32), arena, arena);
        var count = checked((int)((arena.Used - first) / sizeof(float)));
        return (weights, new TensorView(weights.DenseTensors().Min(t => t.View.Address), DType.F32, 1, count));
    }

    // Elements of a flat buffer, the gaps between tensors among them.
    private static long FlatCount(ModelConfig config)
    {
        var arena = Arena.Counting();
        ModelWeights.Allocate(config, Format(DType.F32), arena, arena);
        return arena.Used / sizeof(float);
    }

    private static string Billions(long count) =>
        string.Create(CultureInfo.InvariantCulture, $"{count / 1e9:0.00} billion");
}
