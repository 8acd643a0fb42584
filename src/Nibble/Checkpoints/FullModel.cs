namespace Nibble.Checkpoints;

/// <summary>A whole model: what training every weight gives.</summary>
/// <param name="BaseFolder">Folder of the model it was trained from: names, shapes and types of the files, and the
/// files beside the weights, are taken from there. When read back, the folder itself.</param>
/// <param name="Tensors">F32, by the names of the model folder; norms and biases as one row. Empty when read back: the
/// weights are in the folder, for the loader.</param>
public sealed record FullModel(string BaseFolder, IReadOnlyList<StateTensor> Tensors) : TrainedWeights
{
    /// <summary>Name of the model it was trained from, for the card.</summary>
    public string BaseName { get; init; } = BaseFolder;
}
