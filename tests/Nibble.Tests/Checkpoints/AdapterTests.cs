using System.Runtime.InteropServices;
using CsCheck;
using Nibble.Checkpoints;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints;

public sealed class AdapterTests : IDisposable
{
    private static readonly ModelCard _card = new() { NibbleVersion = "0.1.0" };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("train-fp4-fp32-nodq-adamw", "initial")]
    [InlineData("train-lora-fp32-adamw", "final")]
    [InlineData("train-nf4-bf16-adamw", "initial")]
    [InlineData("train-nf4-fp32-adamw", "final")]
    [InlineData("train-nf4-fp32-adamw8bit-all-linear", "initial")]
    public void Write_AdapterOfPeft_GivesTheSameBytes(string run, string part)
    {
        var source = Goldens.At(run, part);
        AdapterWriter.Write(_folder.Path, AdapterReader.Read(source), _card);
        foreach (var name in new[] { AdapterFileNames.Config, AdapterFileNames.Weights })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(source, name)), File.ReadAllBytes(_folder[name]));
        }
    }

    [Fact]
    public void WriteThenRead_AnyAdapter_IsIdentity()
    {
        var adapters =
            from rank in Gen.Int[1, 4]
            from input in Gen.Int[1, 5]
            from output in Gen.Int[1, 5]
            from layers in Gen.Int[1, 3]
            from alpha in Gen.OneOf(Gen.Int[1, 64].Select(i => (double)i), Gen.Double[0.01, 100])
            from dropout in Gen.Double[0, 0.9]
            from stabilized in Gen.Bool
            from bits in Gen.UInt.Array[layers * rank * (input + output)]
            select Build(rank, input, output, layers, alpha, dropout, stabilized, bits);
        adapters.Sample(
            adapter =>
            {
                AdapterWriter.Write(_folder.Path, adapter, _card);
                var back = AdapterReader.Read(_folder.Path);
                Assert.Equal(adapter.Config with { TargetModules = [] }, back.Config with { TargetModules = [] });
                Assert.Equal(adapter.Config.TargetModules, back.Config.TargetModules);
                Assert.Equal(adapter.Tensors.Count, back.Tensors.Count);
                foreach (var (a, b) in adapter.Tensors.OrderBy(t => t.Name, StringComparer.Ordinal).Zip(back.Tensors))
                {
                    Assert.Equal((a.Name, a.Rows, a.Cols), (b.Name, b.Rows, b.Cols));

                    // Bits, not values: NaN payloads and signed zeros survive too.
                    Assert.Equal(
                        MemoryMarshal.Cast<float, uint>(a.Data.Span).ToArray(),
                        MemoryMarshal.Cast<float, uint>(b.Data.Span).ToArray());
                }
            },
            iter: 50,
            threads: 1);
    }

    [Theory]
    [InlineData(SafetensorsType.BF16)]
    [InlineData(SafetensorsType.F16)]
    public void Read_HalfPrecision_Widens(SafetensorsType type)
    {
        WriteRaw(type, ("lora_A", [2, 3]), ("lora_B", [4, 2]));
        var adapter = AdapterReader.Read(_folder.Path);
        Assert.All(adapter.Tensors, t => Assert.All(t.Data.ToArray(), v => Assert.Equal(0f, v)));
    }

    [Theory]
    [InlineData("\"peft_type\": \"LORA\"", "\"peft_type\": \"IA3\"", "LORA")]
    [InlineData("\"use_dora\": false", "\"use_dora\": true", "use_dora")]
    [InlineData("\"bias\": \"none\"", "\"bias\": \"all\"", "bias")]
    [InlineData("\"r\": 2", "\"r\": 4", "rank 4")]
    [InlineData("\"r\": 2", "\"r\": 0", "'r'")]
    [InlineData("\"r\": 2", "\"r\": \"2\"", "'r'")]
    [InlineData("\"rank_pattern\": {}", "\"rank_pattern\": {\"q_proj\": 4}", "rank_pattern")]
    [InlineData("\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]", "modules_to_save")]
    [InlineData("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"", "init_lora_weights")]
    [InlineData("\"q_proj\"", "\"k_proj\"", "k_proj")]
    [InlineData("\"r\": 2", "\"r\": 2, \"r\": 2", "JSON")]
    [InlineData("\"r\": 2,", "\"r\": 2", "JSON")]
    public void Read_ConfigThatDoesNotFit_NamesTheKey(string from, string to, string message)
    {
        AdapterWriter.Write(_folder.Path, Contents.At(1).RequireAdapter(), _card);
        var path = _folder[AdapterFileNames.Config];
        var text = File.ReadAllText(path);
        Assert.Contains(from, text, StringComparison.Ordinal);
        File.WriteAllText(path, text.Replace(from, to, StringComparison.Ordinal));
        var e = Assert.Throws<CheckpointException>(() => AdapterReader.Read(_folder.Path));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_ConfigOfTheOldestKeySet_Works()
    {
        AdapterWriter.Write(_folder.Path, Contents.At(1).RequireAdapter(), _card);
        File.WriteAllText(
            _folder[AdapterFileNames.Config],
            "{\"peft_type\":\"LORA\",\"r\":2,\"target_modules\":\".*q_proj\",\"new_key\":[1]}");
        var config = AdapterReader.Read(_folder.Path).Config;
        Assert.Equal((8.0, 0.0), (config.Alpha, config.Dropout));
        Assert.Equal(["q_proj"], config.TargetModules);
    }

    [Fact]
    public void Read_TensorsThatDoNotFit_NameWhatIsWrong()
    {
        WriteRaw(SafetensorsType.F32, ("lora_A", [2, 3]));
        AssertRefused("lora_B");
        WriteRaw(SafetensorsType.F32, ("lora_A", [3, 3]), ("lora_B", [4, 2]));
        AssertRefused("[3, 3]");
        WriteRaw(SafetensorsType.F32, ("lora_A", [2, 3]), ("lora_B", [4, 2]), ("lora_magnitude_vector", [4]));
        AssertRefused("matrices");
        WriteRaw(SafetensorsType.F32, ("lora_A", [2, 3]), ("lora_B", [4, 2]), ("lora_C", [4, 1]));
        AssertRefused("lora_C");
    }

    [Fact]
    public void Read_NoWeights_SaysWhatIsThere()
    {
        AssertRefused("no such file");
        File.WriteAllText(_folder["adapter_model.bin"], "");
        AssertRefused("safe_serialization");
    }

    [Fact]
    public void ModelCard_AnyConfig_IsFencedAndQuoted()
    {
        var text = (_card with
        {
            ConfigYaml = "a: |\n  ```\n  x\n  ```\n",
            Datasets = ["rows.jsonl"],
            Results = [("eval loss", "1.25")],
        }).ToMarkdown(Contents.At(1).RequireAdapter().Config with { BaseModel = "a: \"b\"" });
        Assert.StartsWith(
            "---\nbase_model: \"a: \\u0022b\\u0022\"\nlibrary_name: peft\n", text, StringComparison.Ordinal);
        Assert.Contains("````yaml\na: |", text, StringComparison.Ordinal);
        Assert.Contains("| eval loss | 1.25 |", text, StringComparison.Ordinal);
        Assert.Contains("Rank 2, alpha 4.0, on q_proj.", text, StringComparison.Ordinal);
    }

    private static LoraAdapter Build(
        int rank, int input, int output, int layers, double alpha, double dropout, bool stabilized, uint[] bits)
    {
        var tensors = new List<LoraTensor>();
        var values = MemoryMarshal.Cast<uint, float>(bits).ToArray();
        var next = 0;
        LoraTensor Take(string name, int rows, int cols) =>
            new(name, rows, cols, values.AsMemory(next, rows * cols));
        for (var layer = 0; layer < layers; layer++)
        {
            var module = $"model.layers.{layer}.mlp.up_proj";
            tensors.Add(Take(LoraAdapter.NameOfB(module), output, rank));
            next += output * rank;
            tensors.Add(Take(LoraAdapter.NameOfA(module), rank, input));
            next += input * rank;
        }

        var config = new LoraAdapterConfig
        {
            BaseModel = "base/é",
            Rank = rank,
            Alpha = alpha,
            Dropout = dropout,
            TargetModules = ["up_proj"],
            RankStabilized = stabilized,
        };
        return new LoraAdapter(config, tensors);
    }

    private void AssertRefused(string message)
    {
        var e = Assert.Throws<CheckpointException>(() => AdapterReader.Read(_folder.Path));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }

    private void WriteRaw(SafetensorsType type, params (string Kind, long[] Shape)[] tensors)
    {
        AdapterWriter.Write(_folder.Path, Contents.At(1).RequireAdapter(), _card);
        string Name(string kind) => $"base_model.model.model.layers.0.self_attn.q_proj.{kind}.weight";
        using var writer = SafetensorsWriter.Create(
            _folder[AdapterFileNames.Weights],
            tensors.Select(t => new SafetensorsDeclaration(Name(t.Kind), type, t.Shape)));
        foreach (var (kind, shape) in tensors)
        {
            writer.Append(Name(kind), new byte[shape.Aggregate(1L, (a, b) => a * b) * type.Bits() / 8]);
        }

        writer.Commit();
    }
}
