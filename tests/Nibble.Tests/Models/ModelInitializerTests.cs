using System.Text.Json;
using Nibble.Data;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

public sealed class ModelInitializerTests : IDisposable
{
    private static readonly ModelShape Shape = new()
    {
        VocabularySize = 300,
        HiddenSize = 128,
        IntermediateSize = 192,
        Layers = 3,
        Heads = 4,
        KvHeads = 2,
        HeadDim = 32,
        EosId = 299,
    };

    private readonly string _root =
        Path.Combine(Path.GetTempPath(), "nibble-init-" + Guid.NewGuid().ToString("N"));

    public void Dispose()
    {
        if (Directory.Exists(_root))
        {
            Directory.Delete(_root, recursive: true);
        }
    }

    [Fact]
    public void Create_LoadedConfig_HasTheShape()
    {
        var config = ModelConfig.Load(Make("a", Shape, 1));
        Assert.Equal("qwen2", config.Family);
        Assert.Equal((300, 128), (config.VocabularySize, config.HiddenSize));
        Assert.Equal((192, 3), (config.IntermediateSize, config.Layers));
        Assert.Equal((4, 2, 32), (config.Heads, config.KvHeads, config.HeadDim));
        Assert.True(config.TiedHead && config.QkvBias);
        Assert.Equal([299], config.EosIds);
        Assert.Equal(10000, config.Rope.Theta);
        Assert.Equal(1e-6f, config.NormEpsilon);
    }

    [Theory]
    [InlineData(null)]
    [InlineData(FourBitCode.Nf4)]
    public void Create_Loaded_KnowsNothingYet(FourBitCode? code)
    {
        var folder = Make("a", Shape, 1);
        using var backend = TestBackend.Create();
        using var model = new TinyModel(backend, folder, code, nested: code is not null);
        int[] ids = [.. Enumerable.Range(0, 64).Select(i => i * 37 % 300)];
        var logits = model.Decoder.Logits(new Batch([new Sample(ids, ids, "row")]), model.Arena);
        var loss = 0.0;
        for (var t = 0; t < 63; t++)
        {
            var row = logits.AsSpan(t * 300, 300).ToArray();
            loss += (Math.Log(row.Sum(value => Math.Exp(value))) - row[ids[t + 1]]) / 63;
        }

        // Of a guess it is ln 300. The logits have deviation 0.02 √128 = 0.23, which adds half its square, and moves
        // the mean over 63 tokens by 0.23 / √63 = 0.03 at random.
        Assert.InRange(loss, Math.Log(300) - 0.1, Math.Log(300) + 0.15);
        Assert.Equal(ModelConfig.Load(folder).ParameterCount, Entries(folder).Sum(entry => entry.Count));
    }

    [Fact]
    public void Create_SameSeed_GivesTheSameBytesAndAnotherSeedOthers()
    {
        var first = File.ReadAllBytes(Path.Combine(Make("a", Shape, 7), "model.safetensors"));
        Assert.Equal(first, File.ReadAllBytes(Path.Combine(Make("b", Shape, 7), "model.safetensors")));
        Assert.NotEqual(first, File.ReadAllBytes(Path.Combine(Make("c", Shape, 8), "model.safetensors")));
    }

    [Fact]
    public void Create_Weights_AreNormalWithTheStatedDeviations()
    {
        using var files = SafetensorsIndex.Open(Make("a", Shape, 3));
        foreach (var name in files.Names)
        {
            var values = files.ReadSingle(name);
            if (name.EndsWith(".bias", StringComparison.Ordinal))
            {
                Assert.All(values, value => Assert.Equal(0, value));
            }
            else if (name.EndsWith("norm.weight", StringComparison.Ordinal))
            {
                Assert.All(values, value => Assert.Equal(1, value));
            }
            else
            {
                var residual = name.Contains("o_proj") || name.Contains("down_proj");
                AssertNormal(values, residual ? 0.02 / Math.Sqrt(6) : 0.02);
            }
        }
    }

    [Fact]
    public void Create_TwoTensors_ShareNoValuesInTheSamePlaces()
    {
        using var files = SafetensorsIndex.Open(Make("a", Shape, 3));
        var gate = files.ReadSingle("model.layers.0.mlp.gate_proj.weight");
        var up = files.ReadSingle("model.layers.0.mlp.up_proj.weight");
        var correlation = gate.Zip(up, (a, b) => (double)a * b).Sum() / (gate.Length * 0.02 * 0.02);
        // Of independent values it has deviation 1 / √n.
        Assert.InRange(correlation, -5 / Math.Sqrt(gate.Length), 5 / Math.Sqrt(gate.Length));
    }

    [Fact]
    public void Create_ImpossibleShape_IsRefusedAndNothingIsWritten()
    {
        var error = Assert.Throws<ModelFormatException>(() => Make("a", Shape with { KvHeads = 3 }, 1));
        Assert.Contains("num_key_value_heads", error.Message);
        Assert.False(Directory.Exists(Path.Combine(_root, "a")));
    }

    [Fact]
    public void Create_FolderWithAModel_IsRefusedUnlessAsked()
    {
        var folder = Make("a", Shape, 1);
        var before = File.ReadAllBytes(Path.Combine(folder, "model.safetensors"));
        Assert.Contains("found one", Assert.Throws<ModelFormatException>(() => Make("a", Shape, 2)).Message);
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
        ModelInitializer.Create(folder, Shape, 2, overwrite: true);
        Assert.NotEqual(before, File.ReadAllBytes(Path.Combine(folder, "model.safetensors")));
    }

    [Fact]
    public void Create_Config_WritesRealNumbersAsSuch()
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(Make("a", Shape, 1), "config.json")));
        Assert.Equal("10000.0", json.RootElement.GetProperty("rope_theta").GetRawText());
        Assert.Equal("bfloat16", json.RootElement.GetProperty("torch_dtype").GetString());
        Assert.True(json.RootElement.GetProperty("tie_word_embeddings").GetBoolean());
    }

    private static void AssertNormal(float[] values, double deviation)
    {
        var mean = values.Average(value => (double)value);
        var variance = values.Average(value => (value - mean) * (value - mean));
        var kurtosis = values.Average(value => Math.Pow((value - mean) / deviation, 4));
        var n = (double)values.Length;
        // Five standard errors of the mean, the variance and the fourth moment. Rounding to bf16 moves a value by at
        // most 2^-9 of itself, at random. The sum of eight uniforms has the fourth moment 3 - 1.2 / 8.
        Assert.InRange(mean, -5 * deviation / Math.Sqrt(n), 5 * deviation / Math.Sqrt(n));
        Assert.InRange(variance / (deviation * deviation), 1 - (5 * Math.Sqrt(2 / n)), 1 + (5 * Math.Sqrt(2 / n)));
        Assert.InRange(kurtosis, 2.85 - (5 * Math.Sqrt(96 / n)), 2.85 + (5 * Math.Sqrt(96 / n)));
    }

    private static List<SafetensorsEntry> Entries(string folder)
    {
        using var files = SafetensorsIndex.Open(folder);
        return [.. files.Names.Select(name => files.Get(name).Entry)];
    }

    private string Make(string name, ModelShape shape, ulong seed)
    {
        var folder = Path.Combine(_root, name);
        ModelInitializer.Create(folder, shape, seed);
        return folder;
    }
}
