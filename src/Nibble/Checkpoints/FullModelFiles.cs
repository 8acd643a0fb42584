using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Nibble.Models;
using Nibble.Models.Quantization;
using Nibble.Tensors;

namespace Nibble.Checkpoints;

/// <summary>
/// Writes a whole model as transformers does: <c>model.safetensors</c>, or shards of 5 GB with an index, in the types
/// of the base model, and the base's configuration files. What the base holds in 4 bits is written in full.
/// </summary>
public static class FullModelFiles
{
    /// <summary>Architecture, for every loader.</summary>
    public const string Config = "config.json";

    /// <summary>Weights in one file.</summary>
    public const string Weights = "model.safetensors";

    /// <summary>Which shard holds which tensor.</summary>
    public const string Index = "model.safetensors.index.json";

    /// <summary>Field of <see cref="Config"/> that says how weights were quantised.</summary>
    internal const string QuantizationKey = "quantization_config";

    /// <summary>Most bytes of a shard, as transformers has it.</summary>
    internal const long ShardBytes = 5_000_000_000;

    private const string Generation = "generation_config.json";

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

        AtomicFile.WriteAllBytes(
            Path.Combine(folder, Config), DenseConfig(File.ReadAllBytes(Path.Combine(model.BaseFolder, Config))));
        names.Add(Config);
        if (File.Exists(Path.Combine(model.BaseFolder, Generation)))
        {
            AtomicFile.Copy(Path.Combine(model.BaseFolder, Generation), Path.Combine(folder, Generation));
            names.Add(Generation);
        }

        return names;
    }

    /// <summary>Name, type and shape of a tensor in the folder that is written: the base's, and for a matrix that the
    /// base holds in 4 bits its own shape in the type of the base's embedding table.</summary>
    /// <param name="source">The base's tensors.</param>
    /// <param name="tensor">F32.</param>
    /// <exception cref="CheckpointException">The base has no such tensor.</exception>
    internal static SafetensorsDeclaration Declare(SafetensorsIndex source, StateTensor tensor)
    {
        if (SavedMatrix.IsSaved(source, tensor.Name))
        {
            return new SafetensorsDeclaration(
                tensor.Name, source.Get(ModelWeights.EmbeddingName).Entry.Type, [tensor.Rows, tensor.Cols]);
        }

        var entry = source.Contains(tensor.Name) ? source.Get(tensor.Name).Entry : null;
        return entry is not null && entry.Count == (long)tensor.Rows * tensor.Cols && tensor.DType == DType.F32
            ? new SafetensorsDeclaration(tensor.Name, entry.Type, entry.Shape)
            : throw new CheckpointException(
                source.Folder, $"{tensor.Name} of {(long)tensor.Rows * tensor.Cols} values",
                entry?.ToString() ?? "no such tensor");
    }

    // The base's file as it is, but for how a base in 4 bits was quantised: what is written is not.
    private static ReadOnlySpan<byte> DenseConfig(byte[] config)
    {
        using var document = JsonDocument.Parse(config);
        if (!document.RootElement.TryGetProperty(QuantizationKey, out _))
        {
            return config;
        }

        var buffer = new ArrayBufferWriter<byte>(config.Length);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            foreach (var property in document.RootElement.EnumerateObject().Where(p => p.Name != QuantizationKey))
            {
                property.WriteTo(json);
            }

            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan;
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
        var largest = Math.Min(StateTensor.PieceBytes, tensors.Max(t => t.Tensor.ByteCount));
        var halves = new ushort[largest / sizeof(float)];
        foreach (var (tensor, declaration) in tensors)
        {
            tensor.ForEachPiece((_, piece) =>
                writer.Append(tensor.Name, Rounded(piece, declaration, halves)));
        }

        writer.Commit();
    }

    private static ReadOnlySpan<byte> Rounded(
        ReadOnlyMemory<byte> piece, SafetensorsDeclaration declaration, ushort[] halves)
    {
        var length = piece.Length / sizeof(float);
        switch (declaration.Type)
        {
            case SafetensorsType.F32:
                return piece.Span;
            case SafetensorsType.BF16:
                InRuns(length, (first, count) => Bf16.FromSingle(
                    MemoryMarshal.Cast<byte, float>(piece.Span).Slice(first, count), halves.AsSpan(first, count)));
                break;
            case SafetensorsType.F16:
                InRuns(length, (first, count) =>
                {
                    var run = MemoryMarshal.Cast<byte, float>(piece.Span).Slice(first, count);
                    for (var i = 0; i < run.Length; i++)
                    {
                        halves[first + i] = BitConverter.HalfToUInt16Bits((Half)run[i]);
                    }
                });
                break;
            default:
                throw new CheckpointException(declaration.Name, "F32, BF16 or F16", declaration.Type.Name());
        }

        return MemoryMarshal.AsBytes(halves.AsSpan(0, length));
    }

    private static void InRuns(int count, Action<int, int> run)
    {
        const int Length = 1 << 16;
        Parallel.For(0, (count + Length - 1) / Length, i => run(i * Length, Math.Min(Length, count - (i * Length))));
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
