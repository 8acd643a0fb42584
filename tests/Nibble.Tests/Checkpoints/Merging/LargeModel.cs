using Nibble.Checkpoints;
using Nibble.Models;

namespace Nibble.Tests.Checkpoints.Merging;

/// <summary>A model of some hundred megabytes with an adapter, to see what merging holds in memory.</summary>
internal sealed class LargeModel : IDisposable
{
    private readonly TemporaryFolder _root = new();
    private readonly AdapterMerge _merge;

    public LargeModel()
    {
        var (folder, adapter) = (_root["base"], _root["adapter"]);
        ModelInitializer.Create(
            folder,
            new ModelShape
            {
                VocabularySize = 16_384,
                HiddenSize = 512,
                IntermediateSize = 16_384,
                Layers = 1,
                Heads = 4,
                KvHeads = 2,
                HeadDim = 128,
            },
            seed: 3);
        const string Module = "model.layers.0.mlp.down_proj";
        AdapterWriter.Write(
            adapter,
            new LoraAdapter(
                new LoraAdapterConfig
                {
                    BaseModel = "base",
                    Rank = 2,
                    Alpha = 2,
                    Dropout = 0,
                    TargetModules = ["down_proj"],
                },
                [
                    new(LoraAdapter.NameOfA(Module), 2, 16_384, Ones(2 * 16_384)),
                    new(LoraAdapter.NameOfB(Module), 512, 2, Ones(2 * 512)),
                ]),
            new ModelCard { NibbleVersion = "0.1.0" });
        _merge = AdapterMerge.Open(folder, adapter);
        Bytes = 4 * ModelConfig.Load(folder).ParameterCount;
    }

    /// <summary>Bytes of its weights in F32.</summary>
    public long Bytes { get; }

    public void Run(IProgress<long> progress) => _merge.Write(
        _root["merged"], MergeCase.Options(_root["base"]) with { Progress = progress },
        TestContext.Current.CancellationToken);

    public void Dispose()
    {
        _merge.Dispose();
        _root.Dispose();
    }

    private static float[] Ones(int count)
    {
        var values = new float[count];
        Array.Fill(values, 0.01f);
        return values;
    }
}
