using System.Text.Json;
using Nibble.Checkpoints;
using Nibble.Config;
using Nibble.Data;
using Nibble.Models;
using Nibble.Tensors;
using Nibble.Tests.Models;
using Nibble.Validation;

namespace Nibble.Tests.Checkpoints.Merging;

public sealed class AdapterMergeTests
{
    [Theory]
    [InlineData("qwen2")]
    [InlineData("qwen2-tied")]
    [InlineData("qwen3")]
    [InlineData("llama2")]
    [InlineData("llama3")]
    [InlineData("mistral")]
    public void Write_FromAnF32Base_GivesTheLogitsOfBaseAndAdapter(string model)
    {
        using var merge = new MergeCase(model).WithAdapter();
        // Both compute in F32; the merged weight is rounded once to F32 (2^-24 of itself) and the sums run in another
        // order, over at most 384 products and two layers: the bound of the comparisons with transformers.
        AssertLogits(merge, 1e-4);
    }

    [Theory]
    [InlineData("qwen2")]
    [InlineData("llama3")]
    public void Write_FromABf16Base_GivesTheLogitsToTheRoundingOfItsWeights(string model)
    {
        using var merge = new MergeCase(model, SafetensorsType.BF16).WithAdapter();
        // Every weight moves by up to 2^-9 of itself; over two layers that is at most about 1 % of logits of size 4.
        AssertLogits(merge, 0.04);
    }

    [Theory]
    [InlineData(SafetensorsType.F32)]
    [InlineData(SafetensorsType.BF16)]
    [InlineData(SafetensorsType.F16)]
    public void Write_Matrices_AreTheRoundedSumsOfTheFormula(SafetensorsType type)
    {
        using var merge = new MergeCase("qwen2", type).WithAdapter(rank: 3, alpha: 5);
        AssertMatrices(merge, 5.0 / 3);
    }

    [Fact]
    public void Write_RankStabilizedAdapter_IsScaledByTheRoot()
    {
        using var merge = new MergeCase("qwen2").WithAdapter(rank: 4, alpha: 6, stabilized: true);
        AssertMatrices(merge, 6.0 / 2);
    }

    [Fact]
    public void Write_WhatTheAdapterDoesNotTarget_IsTheBasesBitForBit()
    {
        using var merge = new MergeCase("qwen2", SafetensorsType.BF16).WithAdapter(targets: ["v_proj"]);
        using var source = SafetensorsIndex.Open(merge.Base);
        using var merged = SafetensorsIndex.Open(merge.Merge());
        Assert.Equal(source.Names.Order(StringComparer.Ordinal), merged.Names.Order(StringComparer.Ordinal));
        foreach (var name in source.Names)
        {
            var (before, after) = (source.Get(name), merged.Get(name));
            Assert.Equal(before.Entry.ToString(), after.Entry.ToString());
            var same = before.File.ReadAll<byte>(before.Entry).AsSpan()
                .SequenceEqual(after.File.ReadAll<byte>(after.Entry));
            Assert.Equal(!name.EndsWith("v_proj.weight", StringComparison.Ordinal), same);
        }

        Assert.Equal("pt", merged.Files[0].Metadata["format"]);
        Assert.True(merged.Contains("model.layers.0.self_attn.q_proj.bias"));
    }

    [Fact]
    public void Write_TiedHeadThatTheBaseAlsoStores_LeavesItOut()
    {
        using var merge = new MergeCase("qwen2-tied").WithAdapter();
        using var merged = SafetensorsIndex.Open(merge.Merge());
        Assert.False(merged.Contains(ModelWeights.HeadName));
        Assert.True(merged.Contains(ModelWeights.EmbeddingName));
    }

    [Fact]
    public void Write_FromShardsIntoShards_GivesTheSameModel()
    {
        using var whole = new MergeCase("qwen2").WithAdapter();
        using var cut = new MergeCase("qwen2", shardBytes: 300_000).WithAdapter();
        Assert.True(File.Exists(Path.Combine(cut.Base, FullModelFiles.Index)));
        whole.Merge();
        cut.Merge(change: o => o with { ShardBytes = 400_000 });
        var shards = Directory.GetFiles(cut.Merged, "model-*-of-*.safetensors");
        Assert.True(shards.Length > 2);
        using (var index = JsonDocument.Parse(File.ReadAllText(Path.Combine(cut.Merged, FullModelFiles.Index))))
        {
            Assert.Equal(
                shards.Select(s => Path.GetFileName(s)).Order(StringComparer.Ordinal),
                index.RootElement.GetProperty("weight_map").EnumerateObject()
                    .Select(p => p.Value.GetString()!).Distinct().Order(StringComparer.Ordinal));
        }

        Assert.Equal(ModelFingerprint.Compute(whole.Merged), ModelFingerprint.Compute(cut.Merged));
    }

    [Fact]
    public void Write_Twice_GivesTheSameBytesWithAnyNumberOfThreads()
    {
        using var merge = new MergeCase("qwen2", SafetensorsType.BF16).WithAdapter();
        merge.Merge();
        merge.Merge(merge["again"], o => o with { Threads = 1 });
        var files = Directory.GetFiles(merge.Merged);
        Assert.Equal(files.Length, Directory.GetFiles(merge["again"]).Length);
        Assert.All(files, f => Assert.Equal(
            File.ReadAllBytes(f), File.ReadAllBytes(Path.Combine(merge["again"], Path.GetFileName(f)))));
    }

    [Fact]
    public void Write_Folder_HasConfigTokenizerCardAndAManifestOfThem()
    {
        using var merge = new MergeCase("qwen2").WithAdapter();
        var folder = merge.Merge();
        string[] copied = ["config.json", "generation_config.json", "tokenizer.json"];
        Assert.All(copied, n => Assert.Equal(
            File.ReadAllBytes(Path.Combine(merge.Base, n)), File.ReadAllBytes(Path.Combine(folder, n))));
        var manifest = CheckpointManifest.Read(folder);
        Assert.Empty(manifest.Mismatches(folder));
        Assert.Equal(
            Directory.GetFiles(folder).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal),
            manifest.Files.Keys.Append(CheckpointManifest.FileName).Append(MergeReport.FileName)
                .Order(StringComparer.Ordinal));
        Assert.Contains("merged", File.ReadAllText(Path.Combine(folder, "README.md")), StringComparison.Ordinal);
    }

    [Fact]
    public void Write_FromABitsandbytesBase_AddsToTheDequantisedWeights()
    {
        using var root = new TemporaryFolder();
        var golden = Goldens.At("qwen2-bnb-nf4");
        using var made = new MergeCase("qwen2").WithAdapter(
            change: t => LoraAdapter.ParseName(t.Name)!.Value.IsA ? t : t with { Data = new float[t.Data.Length] });
        using (var merge = AdapterMerge.Open(golden, made.Adapter))
        {
            Assert.Equal("F32", merge.StorageType);
            merge.Write(root["merged"], MergeCase.Options(golden), TestContext.Current.CancellationToken);
        }

        // With B zero, what is left is what bitsandbytes itself dequantised.
        using var merged = SafetensorsIndex.Open(root["merged"]);
        using var expected = SafetensorsFile.Open(Path.Combine(golden, "golden_dequant.safetensors"));
        Assert.Equal(
            expected.ReadSingle(expected.Get("layer0.q_proj.dequant_fp32")),
            merged.ReadSingle("model.layers.0.self_attn.q_proj.weight"));
        using var backend = TestBackend.Create();
        using var tiny = new TinyModel(backend, root["merged"]);
        using var logits = SafetensorsFile.Open(Path.Combine(golden, "golden_logits_fp32.safetensors"));
        foreach (var (row, i) in Models.Goldens.Rows("qwen2").Select((r, i) => (r, i)))
        {
            // F32 sums in another order, two layers deep, as for every family.
            Assert.Equal(
                logits.ReadSingle(logits.Get($"row{i}.logits")), tiny.Decoder.Logits(new Batch([row]), tiny.Arena),
                (x, y) => Math.Abs(x - y) < 1e-4);
        }

        // The gate knows that what the base holds in 4 bits is written in full.
        var gate = Validator.Validate(root["merged"], golden).Findings;
        string[] checks = ["files", "config", "tensors", "finite"];
        Assert.All(checks, c => Assert.True(gate.All(f => f.Name != c || f.Status == CheckStatus.Pass), c));
        Assert.Contains(gate, f => f.Name == "merge" && f.Status == CheckStatus.Warn);

        Assert.Null(ModelConfig.Load(root["merged"]).Quantization);
        Assert.DoesNotContain(merged.Names, n => n.Contains("absmax", StringComparison.Ordinal));
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(root["merged"], "config.json")));
        Assert.Equal("qwen2", config.RootElement.GetProperty("model_type").GetString());
    }

    // Live memory at every piece: counted after a collection, so that it does not depend on when one happens.
    [Fact]
    public void Write_LargeModel_HoldsPiecesAndNotTheModel()
    {
        using var merge = new LargeModel();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var (most, reports) = (0L, 0);
        merge.Run(new Counter(_ =>
        {
            reports++;
            most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - before);
        }));
        Assert.True(reports > 8, $"{reports} pieces");
        // The piece, its copy while the adapter is added (a power of two), the rounded copy; the adapter and slack.
        const long Bound = 4L * StateTensor.PieceBytes;
        Assert.True(merge.Bytes > 2 * Bound, $"{merge.Bytes} bytes in F32");
        Assert.True(most < Bound, $"{most} bytes live, at most {Bound} expected");
    }

    private sealed class Counter(Action<long> report) : IProgress<long>
    {
        public void Report(long value) => report(value);
    }

    private static void AssertMatrices(MergeCase merge, double scaling)
    {
        using var source = SafetensorsIndex.Open(merge.Base);
        using var merged = SafetensorsIndex.Open(merge.Merge());
        foreach (var module in AdapterReader.Read(merge.Adapter).Modules(merge.Adapter))
        {
            var name = $"{module.Path}.weight";
            var (w, actual) = (source.ReadSingle(name), merged.ReadSingle(name));
            var type = source.Get(name).Entry.Type;
            var (rows, cols, rank) = (module.B.Rows, module.A.Cols, module.A.Rows);
            for (var o = 0; o < rows; o++)
            {
                for (var i = 0; i < cols; i++)
                {
                    var sum = 0.0;
                    for (var r = 0; r < rank; r++)
                    {
                        sum += (double)module.B.Data.Span[(o * rank) + r] * module.A.Data.Span[(r * cols) + i];
                    }

                    var exact = (float)(w[(o * cols) + i] + (scaling * sum));
                    var expected = type switch
                    {
                        SafetensorsType.BF16 => Bf16.ToSingle(Bf16.FromSingle(exact)),
                        SafetensorsType.F16 => (float)(Half)exact,
                        _ => exact,
                    };
                    Assert.Equal(expected, actual[(o * cols) + i]);
                }
            }
        }
    }

    private static void AssertLogits(MergeCase merge, double tolerance)
    {
        var adapter = AdapterReader.Read(merge.Adapter);
        using var backend = TestBackend.Create();
        using var apart = new TinyModel(backend, merge.Base, lora: Lora(adapter.Config));
        apart.LoadAdapter(merge.Adapter);
        using var other = TestBackend.Create();
        using var merged = new TinyModel(other, merge.Merge());
        using var third = TestBackend.Create();
        using var plain = new TinyModel(third, merge.Base);
        var (worst, change) = (0.0, 0.0);
        foreach (var row in Models.Goldens.Rows(merge.Model))
        {
            var expected = apart.Decoder.Logits(new Batch([row]), apart.Arena);
            var actual = merged.Decoder.Logits(new Batch([row]), merged.Arena);
            var without = plain.Decoder.Logits(new Batch([row]), plain.Arena);
            for (var i = 0; i < expected.Length; i++)
            {
                worst = Math.Max(worst, Math.Abs(expected[i] - actual[i]));
                change = Math.Max(change, Math.Abs(expected[i] - without[i]));
            }
        }

        Assert.True(worst < tolerance, $"{merge.Model}: largest difference {worst}");
        Assert.True(change > 10 * tolerance, $"{merge.Model}: the adapter changes logits by only {change}");
    }

    private static LoraOptions Lora(LoraAdapterConfig config) => new()
    {
        Rank = config.Rank,
        Alpha = config.Alpha,
        Dropout = 0,
        TargetModules = config.TargetModules,
        RankStabilized = config.RankStabilized,
        InitialAdapter = null,
        LoraPlusRatio = null,
    };
}
