using System.Text.Json;

namespace Nibble.Tensors;

/// <summary>
/// The weights of a model folder: <c>model.safetensors</c>, or the shards that <c>model.safetensors.index.json</c>
/// lists.
/// Every header is read and checked when opening. All members may be used from several threads at once.
/// </summary>
public sealed class SafetensorsIndex : IDisposable
{
    private const string SingleName = "model.safetensors";
    private const string IndexName = "model.safetensors.index.json";

    private readonly Dictionary<string, (SafetensorsFile File, SafetensorsEntry Entry)> _tensors;

    private SafetensorsIndex(
        string folder,
        IReadOnlyList<SafetensorsFile> files,
        Dictionary<string, (SafetensorsFile File, SafetensorsEntry Entry)> tensors) =>
        (Folder, Files, _tensors) = (folder, files, tensors);

    /// <summary>The folder that was opened.</summary>
    public string Folder { get; }

    /// <summary>The open files, in the order of their names.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>Every tensor name.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>Opens the weights of a folder.</summary>
    /// <param name="folder">A model folder.</param>
    /// <exception cref="SafetensorsException">No weights, a missing shard, a listed tensor that no shard has, a tensor
    /// in two
    /// shards, or a damaged file.</exception>
    /// <exception cref="IOException">A file cannot be opened or read.</exception>
    public static SafetensorsIndex Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var single = Path.Combine(folder, SingleName);
        var index = Path.Combine(folder, IndexName);
        if (File.Exists(single))
        {
            var file = SafetensorsFile.Open(single);
            return new SafetensorsIndex(
                folder,
                [file],
                file.Tensors.ToDictionary(t => t.Key, t => (file, t.Value), StringComparer.Ordinal));
        }

        return File.Exists(index)
            ? OpenShards(folder, index)
            : throw new SafetensorsException(
                folder, null, $"{SingleName} or {IndexName}", Directory.Exists(folder) ? "neither" : "no such folder");
    }

    /// <summary>Whether a tensor exists.</summary>
    /// <param name="name">Tensor name.</param>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Finds a tensor.</summary>
    /// <param name="name">Tensor name.</param>
    /// <returns>The file it is in and its entry there.</returns>
    /// <exception cref="SafetensorsException">There is none.</exception>
    public (SafetensorsFile File, SafetensorsEntry Entry) Get(string name) =>
        _tensors.TryGetValue(name, out var found)
            ? found
            : throw new SafetensorsException(Folder, name, "a tensor of that name", $"none among {_tensors.Count}");

    /// <summary>Reads a whole F32, BF16 or F16 tensor as binary32.</summary>
    /// <param name="name">Tensor name.</param>
    /// <exception cref="SafetensorsException">No such tensor, or another element type.</exception>
    public float[] ReadSingle(string name)
    {
        var (file, entry) = Get(name);
        return file.ReadSingle(entry);
    }

    /// <summary>Closes every file.</summary>
    public void Dispose()
    {
        foreach (var file in Files)
        {
            file.Dispose();
        }
    }

    private static SafetensorsIndex OpenShards(string folder, string index)
    {
        var map = ReadWeightMap(folder, index);
        var files = new List<SafetensorsFile>();
        try
        {
            var tensors = new Dictionary<string, (SafetensorsFile, SafetensorsEntry)>(StringComparer.Ordinal);
            var homes = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var shard in map.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                var path = Path.Combine(folder, shard);
                if (!File.Exists(path))
                {
                    throw new SafetensorsException(
                        index, null, $"shard {shard} in the folder", "no such file (an incomplete download?)");
                }

                var file = SafetensorsFile.Open(path);
                files.Add(file);
                foreach (var (name, entry) in file.Tensors)
                {
                    if (!homes.TryAdd(name, shard))
                    {
                        throw new SafetensorsException(
                            index, name, "each tensor in one shard", $"it in {homes[name]} and in {shard}");
                    }

                    // What the index does not list is no part of the model.
                    if (map.TryGetValue(name, out var home) && home == shard)
                    {
                        tensors.Add(name, (file, entry));
                    }
                }
            }

            foreach (var (name, shard) in map)
            {
                if (!tensors.ContainsKey(name))
                {
                    var found = homes.TryGetValue(name, out var other) ? $"it in {other}" : "no shard that has it";
                    throw new SafetensorsException(index, name, $"the tensor in {shard}", found);
                }
            }

            return new SafetensorsIndex(folder, files, tensors);
        }
        catch
        {
            files.ForEach(f => f.Dispose());
            throw;
        }
    }

    private static Dictionary<string, string> ReadWeightMap(string folder, string index)
    {
        const string Expected = "{\"weight_map\": {tensor: shard file}}";
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(index));
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("weight_map", out var weights)
                || weights.ValueKind != JsonValueKind.Object)
            {
                throw new SafetensorsException(index, null, Expected, "no weight_map object");
            }

            foreach (var pair in weights.EnumerateObject())
            {
                if (pair.Value.ValueKind != JsonValueKind.String)
                {
                    throw new SafetensorsException(index, pair.Name, "a file name", pair.Value.ValueKind.ToString());
                }

                var shard = pair.Value.GetString()!;
                if (!IsInside(folder, shard))
                {
                    throw new SafetensorsException(index, pair.Name, "a shard inside the folder", $"'{shard}'");
                }

                if (!map.TryAdd(pair.Name, shard))
                {
                    throw new SafetensorsException(index, pair.Name, "each tensor once", "a second entry of that name");
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new SafetensorsException(index, null, Expected, e.Message, e);
        }

        return map;
    }

    // The text alone decides: caches keep shards as links to files elsewhere, and that is fine.
    private static bool IsInside(string folder, string shard)
    {
        if (shard.Length == 0 || shard.Contains('\0', StringComparison.Ordinal) || Path.IsPathRooted(shard)
            || shard.Contains(':', StringComparison.Ordinal) || shard.Contains('\\', StringComparison.Ordinal))
        {
            return false;
        }

        var root = Path.GetFullPath(folder);
        var full = Path.GetFullPath(Path.Combine(root, shard));
        return full.StartsWith(
            Path.EndsInDirectorySeparator(root) ? root : root + Path.DirectorySeparatorChar, StringComparison.Ordinal);
    }
}
