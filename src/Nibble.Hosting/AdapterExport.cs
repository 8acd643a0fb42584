using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Models;

namespace Nibble.Hosting;

/// <summary>Writes adapters in the formats of other programs.</summary>
public static class AdapterExport
{
    /// <summary>Writes an adapter as llama.cpp's GGUF adapter.</summary>
    /// <param name="adapter">Folder of the adapter.</param>
    /// <param name="path">File to write.</param>
    /// <param name="baseModel">Folder of the base model or its name on the Hub, whose <c>config.json</c> is
    /// read; null takes the one that the
    /// config left beside the adapter names, or the adapter itself.</param>
    /// <param name="type">One of <see cref="GgufAdapter.Types"/>.</param>
    /// <returns>Modules written, and the folder of the base.</returns>
    /// <exception cref="CheckpointException">The adapter or its base cannot be represented, or no base was
    /// found.</exception>
    public static (int Modules, string BaseModel) ToGguf(
        string adapter, string path, string? baseModel = null, string type = "f32")
    {
        ArgumentNullException.ThrowIfNull(adapter);
        var named = baseModel is null
            ? CheckpointValidation.FindConfig(adapter, [])?.Config.BaseModel
                ?? Named(AdapterReader.Read(adapter).Config)
            : new ModelSource(baseModel);
        var folder = named is null ? null : RunFiles.Find(named, new RunFilesOptions { Weights = false }).Folder;
        if (folder is null || !Directory.Exists(folder))
        {
            throw new CheckpointException(
                adapter, "the folder of its base model, whose config.json tells heads and layers (--base-model)",
                folder is null ? "no name of one" : $"'{folder}', which is no folder here");
        }

        return (GgufAdapter.Write(path, adapter, ModelConfig.Load(folder), type), folder);
    }

    private static ModelSource? Named(LoraAdapterConfig config) =>
        config.BaseModel is { } name ? new ModelSource(name, config.Revision) : null;
}
