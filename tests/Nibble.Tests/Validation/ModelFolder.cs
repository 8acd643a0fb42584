using System.Runtime.InteropServices;
using Nibble.Checkpoints;
using Nibble.Data.Tokenizers;
using Nibble.Models;
using Nibble.Tensors;
using Nibble.Tests.Checkpoints;

namespace Nibble.Tests.Validation;

/// <summary>A small base model with a tokenizer, and the folder of a model trained from it.</summary>
internal sealed class ModelFolder : IDisposable
{
    /// <summary>Several tensors to a shard, several shards to the model.</summary>
    public const long ShardBytes = 16 << 10;

    private readonly TemporaryFolder _root = new();
    private readonly string _out;

    public ModelFolder()
    {
        _out = _root["out"];
        Base = MakeBase("base", seed: 1);
    }

    /// <summary>The base model's folder.</summary>
    public string Base { get; }

    public void Dispose() => _root.Dispose();

    /// <summary>A folder beside the others.</summary>
    public string At(string name) => _root[name];

    /// <summary>Makes a base model.</summary>
    public string MakeBase(string name, ulong seed)
    {
        var folder = At(name);
        BpeTrainer.Train(["list files, list folders, list links"], 280).Save(folder);
        ModelInitializer.Create(
            folder,
            new ModelShape
            {
                VocabularySize = 320,
                HiddenSize = 32,
                IntermediateSize = 48,
                Layers = 2,
                Heads = 2,
                KvHeads = 1,
                HeadDim = 16,
            },
            seed);
        return folder;
    }

    /// <summary>Names of its shards, in order.</summary>
    public static string[] Shards(string folder) =>
        [.. Directory.GetFiles(folder, "model-*.safetensors").Select(p => Path.GetFileName(p))
            .Order(StringComparer.Ordinal)];

    /// <summary>Replaces text of a file, which must have it.</summary>
    public static void Replace(string folder, string name, string from, string to)
    {
        var path = Path.Combine(folder, name);
        var text = File.ReadAllText(path);
        Assert.Contains(from, text, StringComparison.Ordinal);
        File.WriteAllText(path, text.Replace(from, to, StringComparison.Ordinal));
    }

    /// <summary>The manifest of what is there now, as if the fault had been there when it was written.</summary>
    public static void Seal(string folder, string? leftOut = null) => CheckpointManifest.Write(
        folder, CheckpointKind.Final, 4, "0.1.0",
        Directory.GetFiles(folder).Select(p => Path.GetFileName(p))
            .Where(n => n != CheckpointManifest.FileName)
            .Where(n => leftOut is null || !n.StartsWith(leftOut, StringComparison.Ordinal)));

    /// <summary>Values of a tensor of the base.</summary>
    public float[] ReadBase(string name)
    {
        using var source = SafetensorsIndex.Open(Base);
        return source.ReadSingle(name);
    }

    /// <summary>Writes the trained model, whole or in shards, some of its tensors replaced.</summary>
    public string Write(
        Func<Stored, Stored?>? change = null, Stored? extra = null, float step = 0.01f, long shardBytes = long.MaxValue)
    {
        Stored[] trained;
        using (var source = SafetensorsIndex.Open(Base))
        {
            trained =
            [
                .. source.Names.Order(StringComparer.Ordinal).Select(n => source.Get(n).Entry).Select(e => new Stored(
                    e.Name, e.Type, [.. e.Shape], [.. source.ReadSingle(e.Name).Select(v => v + step)])),
            ];
        }

        var content = Contents.At(4);
        content = content with
        {
            Weights = new FullModel(Base, [.. trained.Select(t => t.AsState())]),
            Run = content.Run with { BaseModelFingerprint = ModelFingerprint.Compute(Base) },
            Optimizer = null,
            TokenizerFiles = TokenizerFiles.Find(Base),
        };
        using (var store = CheckpointStore.OpenForWriting(_out))
        {
            store.SaveFinal(content);
        }

        if (shardBytes != long.MaxValue)
        {
            File.Delete(Path.Combine(_out, FullModelFiles.Weights));
            FullModelFiles.Write(_out, (FullModel)content.Weights, shardBytes);
            Assert.True(Shards(_out).Length > 2);
        }

        if (change is not null)
        {
            Stored?[] changed = [.. trained.Select(change), extra];
            Stored[] kept = [.. changed.OfType<Stored>()];
            using var writer = SafetensorsWriter.Create(
                Path.Combine(_out, FullModelFiles.Weights),
                kept.Select(t => new SafetensorsDeclaration(t.Name, t.Type, t.Shape)),
                [new("format", "pt")]);
            foreach (var tensor in kept)
            {
                writer.Append(tensor.Name, tensor.Bytes());
            }

            writer.Commit();
        }

        Seal(_out);
        return _out;
    }

    /// <summary>A tensor as it goes to disk.</summary>
    public sealed record Stored(string Name, SafetensorsType Type, long[] Shape, float[] Values)
    {
        public StateTensor AsState() =>
            new(Name, DType.F32, 1, Values.Length, MemoryMarshal.AsBytes(Values.AsSpan()).ToArray());

        public byte[] Bytes() => Type == SafetensorsType.F32
            ? MemoryMarshal.AsBytes(Values.AsSpan()).ToArray()
            : MemoryMarshal.AsBytes(Values.Select(v => Bf16.FromSingle(v)).ToArray().AsSpan()).ToArray();
    }
}
