using Nibble.Checkpoints;
using Nibble.Models;
using Nibble.Tensors;

namespace Nibble.Tests.Checkpoints.Merging;

public sealed class GgufAdapterTests
{
    [Theory]
    [InlineData("qwen2", "qwen2")]
    [InlineData("qwen3", "qwen3")]
    [InlineData("llama2", "llama")]
    [InlineData("llama3", "llama")]
    [InlineData("mistral", "llama")]
    public void Write_AnyFamily_HasEveryMatrixUnderTheNamesOfLlamaCpp(string model, string architecture)
    {
        using var merge = new MergeCase(model).WithAdapter(rank: 4, alpha: 6);
        var file = Write(merge);
        Assert.Equal("adapter", file.Keys["general.type"]);
        Assert.Equal("lora", file.Keys["adapter.type"]);
        Assert.Equal(architecture, file.Keys["general.architecture"]);
        Assert.Equal(6f, file.Keys["adapter.lora.alpha"]);
        var names = new Dictionary<string, string>
        {
            ["q_proj"] = "attn_q",
            ["k_proj"] = "attn_k",
            ["v_proj"] = "attn_v",
            ["o_proj"] = "attn_output",
            ["gate_proj"] = "ffn_gate",
            ["up_proj"] = "ffn_up",
            ["down_proj"] = "ffn_down",
        };
        var modules = AdapterReader.Read(merge.Adapter).Modules(merge.Adapter);
        Assert.Equal(2 * modules.Count, file.Tensors.Count);
        foreach (var module in modules)
        {
            var parts = module.Path.Split('.');
            var name = $"blk.{parts[2]}.{names[parts[^1]]}.weight";
            AssertTensor(file, $"{name}.lora_a", module.A, module.A.Data.ToArray());
            var heads = architecture != "llama" ? 0
                : parts[^1] == "q_proj" ? merge.Config.Heads
                : parts[^1] == "k_proj" ? merge.Config.KvHeads
                : 0;
            AssertTensor(
                file, $"{name}.lora_b", module.B,
                heads == 0 ? module.B.Data.ToArray() : Permuted(module.B, heads));
        }
    }

    // B of a head as [2, d/2, r]: entry (h, j) goes to row 2 j + h, computed from where each row goes.
    private static float[] Permuted(LoraTensor b, int heads)
    {
        var (width, rank) = (b.Rows / heads, b.Cols);
        var result = new float[b.Data.Length];
        for (var head = 0; head < heads; head++)
        {
            for (var h = 0; h < 2; h++)
            {
                for (var j = 0; j < width / 2; j++)
                {
                    for (var r = 0; r < rank; r++)
                    {
                        var from = ((((head * 2) + h) * (width / 2)) + j) * rank;
                        result[((((head * (width / 2)) + j) * 2) + h) * rank + r] = b.Data.Span[from + r];
                    }
                }
            }
        }

        return result;
    }

    // llama.cpp rotates neighbours, transformers rotates halves: after the permutation the first two rows of a head
    // are the first rows of its halves.
    [Fact]
    public void Write_LlamaHead_PutsTheHalvesSideBySide()
    {
        using var merge = new MergeCase("llama3").WithAdapter(targets: ["q_proj"]);
        var tensor = Write(merge).Tensors["blk.1.attn_q.weight.lora_b"];
        var b = AdapterReader.Read(merge.Adapter).Modules("").Single(m => m.Path.Contains(".1.")).B;
        var half = merge.Config.HeadDim / 2;
        Assert.Equal(b.Data.Span[..b.Cols].ToArray(), tensor.Values[..b.Cols]);
        Assert.Equal(b.Data.Span.Slice(half * b.Cols, b.Cols).ToArray(), tensor.Values[b.Cols..(2 * b.Cols)]);
    }

    [Fact]
    public void Write_RankStabilizedAdapter_FoldsTheRootIntoAlpha()
    {
        using var merge = new MergeCase("qwen2").WithAdapter(rank: 4, alpha: 6, stabilized: true);
        // The loader divides by the rank: 12 / 4 is 6 / √4.
        Assert.Equal(12f, Write(merge).Keys["adapter.lora.alpha"]);
    }

    [Theory]
    [InlineData("f16", 1u)]
    [InlineData("bf16", 30u)]
    public void Write_HalfTypes_RoundEachValue(string type, uint number)
    {
        using var merge = new MergeCase("llama3").WithAdapter();
        var (exact, rounded) = (Write(merge), Write(merge, type));
        foreach (var (name, tensor) in rounded.Tensors)
        {
            Assert.Equal(number, tensor.Type);
            Assert.Equal(
                exact.Tensors[name].Values.Select(
                    v => number == 1 ? (float)(Half)v : Bf16.ToSingle(Bf16.FromSingle(v))),
                tensor.Values);
        }
    }

    [Fact]
    public void Write_Twice_GivesTheSameBytes()
    {
        using var merge = new MergeCase("mistral").WithAdapter();
        Write(merge);
        var first = File.ReadAllBytes(merge["a.gguf"]);
        Write(merge);
        Assert.Equal(first, File.ReadAllBytes(merge["a.gguf"]));
    }

    [Fact]
    public void Write_AlphaOfZero_IsRefused()
    {
        using var merge = new MergeCase("qwen2").WithAdapter(alpha: 0);
        Assert.Contains(
            "lora_alpha", Assert.Throws<CheckpointException>(() => Write(merge)).Message, StringComparison.Ordinal);
        Assert.False(File.Exists(merge["a.gguf"]));
    }

    [Fact]
    public void Write_ValueBeyondF16_IsRefused()
    {
        using var merge = new MergeCase("qwen2").WithAdapter(
            change: t => t with { Data = new float[t.Data.Length].Select(_ => 1e5f).ToArray() });
        Assert.Contains(
            "F16", Assert.Throws<CheckpointException>(() => Write(merge, "f16")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_AdapterOfAnotherBase_IsRefused()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        var other = ModelConfig.Load(Goldens.At("qwen2-tied"));
        Assert.Contains(
            "as in the base",
            Assert.Throws<CheckpointException>(() => GgufAdapter.Write(merge["a.gguf"], merge.Adapter, other)).Message,
            StringComparison.Ordinal);
    }

    private static GgufReader Write(MergeCase merge, string type = "f32")
    {
        GgufAdapter.Write(merge["a.gguf"], merge.Adapter, merge.Config, type);
        return new GgufReader(merge["a.gguf"]);
    }

    private static void AssertTensor(GgufReader file, string name, LoraTensor expected, float[] values)
    {
        var found = file.Tensors[name];
        Assert.Equal((expected.Rows, expected.Cols, 0u), (found.Rows, found.Cols, found.Type));
        Assert.Equal(values, found.Values);
    }
}
