using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>Names of the files of an adapter folder.</summary>
public static class AdapterFileNames
{
    /// <summary>What the adapter is.</summary>
    public const string Config = "adapter_config.json";

    /// <summary>Its matrices.</summary>
    public const string Weights = "adapter_model.safetensors";

    /// <summary>The model card.</summary>
    public const string Card = "README.md";
}

/// <summary>Writes an adapter in peft's layout.</summary>
public static class AdapterWriter
{
    /// <summary>Writes config, weights (F32) and model card; each file appears complete or not at all.</summary>
    /// <param name="folder">Created when absent.</param>
    /// <param name="adapter">What to write.</param>
    /// <param name="card">Facts for the model card.</param>
    /// <exception cref="CheckpointException">The tensors do not form the adapter that the config describes.</exception>
    /// <exception cref="StorageException">A file could not be written.</exception>
    public static void Write(string folder, LoraAdapter adapter, ModelCard card)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        ArgumentNullException.ThrowIfNull(card);
        adapter.Modules(folder);
        WriteWeights(Path.Combine(folder, AdapterFileNames.Weights), adapter.Tensors);
        AtomicFile.WriteAllText(Path.Combine(folder, AdapterFileNames.Config), AdapterConfigJson.Write(adapter.Config));
        AtomicFile.WriteAllText(Path.Combine(folder, AdapterFileNames.Card), card.ToMarkdown(adapter.Config));
    }

    private static void WriteWeights(string path, IReadOnlyList<LoraTensor> tensors)
    {
        using var writer = SafetensorsWriter.Create(
            path,
            tensors.Select(t => new SafetensorsDeclaration(t.Name, SafetensorsType.F32, [t.Rows, t.Cols])),
            [new("format", "pt")]);
        foreach (var tensor in tensors)
        {
            writer.Append(tensor.Name, tensor.Data.Span);
        }

        writer.Commit();
    }
}

/// <summary>Reads an adapter in peft's layout.</summary>
public static class AdapterReader
{
    /// <summary>Reads config and weights (F32, BF16 or F16) and checks that they belong together.</summary>
    /// <param name="folder">Folder with <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>.</param>
    /// <exception cref="CheckpointException">A file is absent, unsupported or contradicts the other.</exception>
    /// <exception cref="SafetensorsException">The weights file is damaged.</exception>
    public static LoraAdapter Read(string folder)
    {
        var weights = Path.Combine(folder, AdapterFileNames.Weights);
        if (!File.Exists(weights))
        {
            var found = File.Exists(Path.Combine(folder, "adapter_model.bin"))
                ? "adapter_model.bin (a pickle; save the adapter with safe_serialization=True)"
                : Directory.Exists(folder) ? "no such file" : "no such folder";
            throw new CheckpointException(folder, AdapterFileNames.Weights, found);
        }

        using var file = SafetensorsFile.Open(weights);
        var config = AdapterConfigJson.Read(Path.Combine(folder, AdapterFileNames.Config), file.Tensors.Keys);
        var tensors = new List<LoraTensor>(file.Tensors.Count);
        foreach (var entry in file.Tensors.Values.OrderBy(e => e.Name, StringComparer.Ordinal))
        {
            if (entry.Shape.Length != 2 || entry.Shape[0] > int.MaxValue || entry.Shape[1] > int.MaxValue)
            {
                throw new CheckpointException(weights, "matrices", entry.ToString());
            }

            tensors.Add(new LoraTensor(
                entry.Name, (int)entry.Shape[0], (int)entry.Shape[1], file.ReadSingle(entry)));
        }

        var adapter = new LoraAdapter(config, tensors);
        adapter.Modules(weights);
        return adapter;
    }
}
