using System.Runtime.InteropServices;
using Nibble.Checkpoints;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints.Merging;

/// <summary>A golden base model, rewritten in a type and in shards as a test wants it, and an adapter made for
/// it.</summary>
internal sealed class MergeCase : IDisposable
{
    private readonly TemporaryFolder _root = new();

    public MergeCase(string model, SafetensorsType type = SafetensorsType.F32, long shardBytes = long.MaxValue)
    {
        Model = model;
        Base = _root["base"];
        Directory.CreateDirectory(Base);
        var source = Goldens.At(model);
        foreach (var name in new[] { "config.json", "generation_config.json" })
        {
            File.Copy(Path.Combine(source, name), Path.Combine(Base, name));
        }

        File.WriteAllText(Path.Combine(Base, "tokenizer.json"), "{}");
        WriteBase(source, type, shardBytes);
        Config = ModelConfig.Load(Base);
    }

    public string Model { get; }

    public string Base { get; }

    public string Adapter => _root["adapter"];

    public string Merged => _root["merged"];

    public ModelConfig Config { get; }

    public string this[string name] => _root[name];

    public static AdapterMergeOptions Options(string tokenizer) => new()
    {
        TokenizerFolder = tokenizer,
        NibbleVersion = "0.1.0",
    };

    /// <summary>Writes an adapter whose values are all over; B large enough to matter.</summary>
    public MergeCase WithAdapter(
        int rank = 4, double alpha = 6, bool stabilized = false, string[]? targets = null,
        Func<LoraTensor, LoraTensor>? change = null)
    {
        targets ??= ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        var tensors = new List<LoraTensor>();
        for (var layer = 0; layer < Config.Layers; layer++)
        {
            foreach (var (path, rows, cols) in Config.LayerLinears.Where(l => targets.Any(l.Path.EndsWith)))
            {
                var module = $"model.layers.{layer}.{path}";
                tensors.Add(Random(LoraAdapter.NameOfA(module), rank, cols, (ulong)tensors.Count));
                tensors.Add(Random(LoraAdapter.NameOfB(module), rows, rank, (ulong)tensors.Count));
            }
        }

        var config = new LoraAdapterConfig
        {
            BaseModel = "base",
            Rank = rank,
            Alpha = alpha,
            Dropout = 0.1,
            TargetModules = targets,
            RankStabilized = stabilized,
        };
        AdapterWriter.Write(
            Adapter, new LoraAdapter(config, [.. tensors.Select(change ?? (t => t))]),
            new ModelCard { NibbleVersion = "0.1.0" });
        return this;
    }

    /// <summary>Merges into <see cref="Merged"/>, or another folder.</summary>
    public string Merge(string? folder = null, Func<AdapterMergeOptions, AdapterMergeOptions>? change = null)
    {
        using var merge = AdapterMerge.Open(Base, Adapter);
        var options = Options(Base);
        merge.Write(folder ?? Merged, change?.Invoke(options) ?? options, TestContext.Current.CancellationToken);
        return folder ?? Merged;
    }

    public void Dispose() => _root.Dispose();

    private static LoraTensor Random(string name, int rows, int cols, ulong stream)
    {
        var values = new float[rows * cols];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = 0.2f * (Philox.Uniform(Philox.Words(11, (ulong)i, stream).X) - 0.5f);
        }

        return new LoraTensor(name, rows, cols, values);
    }

    private void WriteBase(string source, SafetensorsType type, long shardBytes)
    {
        using var index = SafetensorsIndex.Open(source);
        var names = index.Names.Order(StringComparer.Ordinal).ToArray();
        using (var writer = SafetensorsWriter.Create(
            Path.Combine(Base, FullModelFiles.Weights),
            names.Select(n => new SafetensorsDeclaration(n, type, index.Get(n).Entry.Shape)), [new("format", "pt")]))
        {
            foreach (var name in names)
            {
                var values = index.ReadSingle(name);
                writer.Append(name, type switch
                {
                    SafetensorsType.BF16 => MemoryMarshal.AsBytes(Array.ConvertAll(values, Bf16.FromSingle).AsSpan()),
                    SafetensorsType.F16 => MemoryMarshal.AsBytes(Array.ConvertAll(values, v => (Half)v).AsSpan()),
                    _ => MemoryMarshal.AsBytes(values.AsSpan()),
                });
            }

            writer.Commit();
        }

        if (shardBytes == long.MaxValue)
        {
            return;
        }

        var whole = _root["whole"];
        Directory.Move(Base, whole);
        Directory.CreateDirectory(Base);
        using (var weights = SafetensorsIndex.Open(whole))
        {
            FullModelFiles.Write(
                Base,
                new FullModel(whole, [.. names.Select(n => new StateTensor(
                    n, DType.F32, 1, (int)weights.Get(n).Entry.Count,
                    MemoryMarshal.AsBytes(weights.ReadSingle(n).AsSpan()).ToArray()))]),
                shardBytes);
        }

        File.Copy(Path.Combine(whole, "tokenizer.json"), Path.Combine(Base, "tokenizer.json"));
    }
}
