using System.Globalization;
using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// Writes a whole model as transformers does: <c>model.safetensors</c>, or shards of 5 GB with an index, in the types
/// of the base model, and the base's configuration files.
/// </summary>
public static class FullModelFiles
{
    /// <summary>Architecture, for every loader.</summary>
    public const string Config = "config.json";

    /// <summary>Weights in one file.</summary>
    public const string Weights = "model.safetensors";

    /// <summary>Which shard holds which tensor.</summary>
    public const string Index = "model.safetensors.index.json";

    private const long ShardBytes = 5_000_000_000;

    private static readonly string[] _copied = [Config, "generation_config.json"];

    /// <summary>Writes the model.</summary>
    /// <param name="folder">Created when absent.</param>
    /// <param name="model">What to write.</param>
    /// <param name="shardBytes">Most bytes of a shard.</param>
    /// <returns>Names of the files written.</returns>
    /// <exception cref="CheckpointException">The base model has no tensor of a name,
    /// or one of another size.</exception>
    /// <exception cref="StorageException">A file could not be written.</exception>
    public static IReadOnlyList<string> Write(string folder, FullModel model, long shardBytes = ShardBytes)
    {
        ArgumentNullException.ThrowIfNull(model);
        var names = new List<string>();
        using (var source = SafetensorsIndex.Open(model.BaseFolder))
        {
            var shards = Shards([.. model.Tensors.Select(t => (t, Declare(source, t)))], shardBytes);
            for (var i = 0; i < shards.Count; i++)
            {
                names.Add(shards.Count == 1 ? Weights : string.Create(
                    CultureInfo.InvariantCulture, $"model-{i + 1:00000}-of-{shards.Count:00000}.safetensors"));
                WriteShard(Path.Combine(folder, names[i]), shards[i]);
            }

            if (shards.Count > 1)
            {
                WriteIndex(Path.Combine(folder, Index), shards, names);
                names.Add(Index);
            }
        }

        foreach (var name in _copied)
        {
            var path = Path.Combine(model.BaseFolder, name);
            if (File.Exists(path))
            {
                AtomicFile.Copy(path, Path.Combine(folder, name));
                names.Add(name);
            }
        }

        return names;
    }

    private static SafetensorsDeclaration Declare(SafetensorsIndex source, StateTensor tensor)
    {
        var entry = source.Contains(tensor.Name) ? source.Get(tensor.Name).Entry : null;
        return entry is not null && entry.Count == (long)tensor.Rows * tensor.Cols && tensor.DType == DType.F32
            ? new SafetensorsDeclaration(tensor.Name, entry.Type, entry.Shape)
            : throw new CheckpointException(
                source.Folder, $"{tensor.Name} of {(long)tensor.Rows * tensor.Cols} values",
                entry?.ToString() ?? "no such tensor");
    }

    private static List<List<(StateTensor Tensor, SafetensorsDeclaration Declaration)>> Shards(
        IReadOnlyList<(StateTensor Tensor, SafetensorsDeclaration Declaration)> tensors, long shardBytes)
    {
        var shards = new List<List<(StateTensor, SafetensorsDeclaration)>> { new() };
        var used = 0L;
        foreach (var (tensor, declaration) in tensors)
        {
            var bytes = Bytes(tensor, declaration);
            if (used > 0 && used + bytes > shardBytes)
            {
                shards.Add([]);
                used = 0;
            }

            shards[^1].Add((tensor, declaration));
            used += bytes;
        }

        return shards;
    }

    private static long Bytes(StateTensor tensor, SafetensorsDeclaration declaration) =>
        (long)tensor.Rows * tensor.Cols * declaration.Type.Bits() / 8;

    private static void WriteShard(string path, List<(StateTensor Tensor, SafetensorsDeclaration Declaration)> tensors)
    {
        using var writer = SafetensorsWriter.Create(path, tensors.Select(t => t.Declaration), [new("format", "pt")]);
        foreach (var (tensor, declaration) in tensors)
        {
            tensor.ForEachPiece((_, piece) =>
                writer.Append(tensor.Name, Rounded(MemoryMarshal.Cast<byte, float>(piece.Span), declaration)));
        }

        writer.Commit();
    }

    private static ReadOnlySpan<byte> Rounded(ReadOnlySpan<float> values, SafetensorsDeclaration declaration)
    {
        switch (declaration.Type)
        {
            case SafetensorsType.F32:
                return MemoryMarshal.AsBytes(values);
            case SafetensorsType.BF16:
                var rounded = new ushort[values.Length];
                for (var i = 0; i < rounded.Length; i++)
                {
                    rounded[i] = Bf16.FromSingle(values[i]);
                }

                return MemoryMarshal.AsBytes(rounded.AsSpan());
            case SafetensorsType.F16:
                var halves = new Half[values.Length];
                for (var i = 0; i < halves.Length; i++)
                {
                    halves[i] = (Half)values[i];
                }

                return MemoryMarshal.AsBytes(halves.AsSpan());
            default:
                throw new CheckpointException(declaration.Name, "F32, BF16 or F16", declaration.Type.Name());
        }
    }

    private static void WriteIndex(
        string path, List<List<(StateTensor Tensor, SafetensorsDeclaration Declaration)>> shards, List<string> names)
    {
        var map = new Dictionary<string, object?>(StringComparer.Ordinal);
        for (var i = 0; i < shards.Count; i++)
        {
            foreach (var (tensor, _) in shards[i])
            {
                map.Add(tensor.Name, names[i]);
            }
        }

        AtomicFile.WriteAllText(path, PythonJson.Write(new Dictionary<string, object?>
        {
            ["metadata"] = new Dictionary<string, object?>
            {
                ["total_size"] = shards.Sum(s => s.Sum(t => Bytes(t.Tensor, t.Declaration))),
            },
            ["weight_map"] = map,
        }) + "\n");
    }
}
