using Nibble.Checkpoints;
using Nibble.Data.Tokenizers;
using Nibble.Models;
using Nibble.Tensors;
using Nibble.Validation;

namespace Nibble.Tests.Validation;

/// <summary>One sound folder of a whole model, then one fault at a time. Where the manifest would give a fault away it
/// is written anew, so that the check under test stands alone.</summary>
public sealed class ModelValidationTests : IDisposable
{
    private const string Query = "model.layers.0.self_attn.q_proj.weight";

    private readonly ModelFolder _model = new();

    public void Dispose() => _model.Dispose();

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(ModelFolder.ShardBytes)]
    public void Validate_SoundModel_PassesEveryCheck(long shardBytes)
    {
        var report = Validate(_model.Write(shardBytes: shardBytes));
        Assert.All(report.Findings, f => Assert.True(f.Status == CheckStatus.Pass, f.ToString()));
        Assert.Equal(Validator.ModelFileChecks.Select(c => c.Name), report.Findings.Select(f => f.Name));
    }

    [Fact]
    public void Validate_WithoutTheBase_StillComparesConfigAndTensors()
    {
        var report = Validator.Validate(_model.Write(), null);
        Assert.True(report.Passed);
        Assert.Equal(CheckStatus.Pass, Assert.Single(report.Findings, f => f.Name == "config").Status);
        Assert.Equal(CheckStatus.Warn, Assert.Single(report.Findings, f => f.Name == "tensors").Status);
        Assert.Equal(CheckStatus.Warn, Assert.Single(report.Findings, f => f.Name == "tokenizer").Status);
    }

    [Fact]
    public void Validate_MissingShard_FailsFilesAndNamesIt()
    {
        var folder = _model.Write(shardBytes: ModelFolder.ShardBytes);
        var shard = ModelFolder.Shards(folder)[1];
        File.Delete(Path.Combine(folder, shard));
        Assert.Contains(shard, Failed(Validate(folder), "files").Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_TruncatedShardThatTheManifestKnows_FailsTensors()
    {
        var folder = _model.Write(shardBytes: ModelFolder.ShardBytes);
        var path = Path.Combine(folder, ModelFolder.Shards(folder)[^1]);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^2]);
        ModelFolder.Seal(folder);
        Assert.Contains(Path.GetFileName(path), Failed(Validate(folder), "tensors").Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_ChangedByte_FailsFilesByItsHash()
    {
        var folder = _model.Write();
        var path = Path.Combine(folder, FullModelFiles.Weights);
        var bytes = File.ReadAllBytes(path);
        bytes[^2] ^= 1;
        File.WriteAllBytes(path, bytes);
        var finding = Failed(Validate(folder), "files");
        Assert.Equal(FullModelFiles.Weights, finding.Detail);
        Assert.StartsWith("sha256 ", finding.Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_TamperedHashInTheManifest_FailsFiles()
    {
        var folder = _model.Write();
        var sha = CheckpointManifest.Read(folder).Files[FullModelFiles.Weights].Sha256;
        ModelFolder.Replace(folder, CheckpointManifest.FileName, sha, (sha[0] == '0' ? '1' : '0') + sha[1..]);
        Assert.Equal(FullModelFiles.Weights, Failed(Validate(folder), "files").Detail);
    }

    [Theory]
    [InlineData("model-00002-of-")]
    [InlineData(FullModelFiles.Index)]
    [InlineData(FullModelFiles.Config)]
    public void Validate_WeightFileThatTheManifestLeavesOut_FailsFiles(string name)
    {
        var folder = _model.Write(shardBytes: ModelFolder.ShardBytes);
        ModelFolder.Seal(folder, leftOut: name);
        Assert.StartsWith($"an entry for {name}", Failed(Validate(folder), "files").Expected, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_SecondSetOfWeightsThatLoadersWouldPrefer_FailsFiles()
    {
        var folder = _model.Write(shardBytes: ModelFolder.ShardBytes);
        File.Copy(Path.Combine(_model.Base, FullModelFiles.Weights), Path.Combine(folder, FullModelFiles.Weights));
        Assert.Equal($"an entry for {FullModelFiles.Weights}", Failed(Validate(folder), "files").Expected);
    }

    [Fact]
    public void Validate_IndexNamesAFileThatIsNotThere_FailsFiles()
    {
        var folder = _model.Write(shardBytes: ModelFolder.ShardBytes);
        ModelFolder.Replace(folder, FullModelFiles.Index, "model-00001-of-", "model-00000-of-");
        ModelFolder.Seal(folder);
        Assert.Contains(
            "model-00000-of-",
            Failed(Validate(folder), "files").Expected + Failed(Validate(folder), "files").Found,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_IndexPutsATensorIntoAnotherShard_FailsTensors()
    {
        var folder = _model.Write(shardBytes: ModelFolder.ShardBytes);
        var shards = ModelFolder.Shards(folder);
        ModelFolder.Replace(
            folder, FullModelFiles.Index, $"\"model.norm.weight\": \"{shards[^1]}\"",
            $"\"model.norm.weight\": \"{shards[0]}\"");
        ModelFolder.Seal(folder);
        Assert.Contains("model.norm.weight", Failed(Validate(folder), "tensors").Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_MissingTensor_FailsTensorsAndConfig()
    {
        var folder = _model.Write(t => t.Name == Query ? null : t);
        Assert.Equal($"no {Query}", Failed(Validate(folder), "tensors").Detail);
        Assert.Equal($"no {Query}", Failed(Validator.Validate(folder, null), "config").Detail);
    }

    [Fact]
    public void Validate_ExtraTensor_FailsTensorsAndConfig()
    {
        const string Extra = "model.layers.2.mlp.up_proj.weight";
        var folder = _model.Write(
            t => t, new ModelFolder.Stored(Extra, SafetensorsType.BF16, [48, 32], new float[48 * 32]));
        Assert.Contains(Extra, Failed(Validate(folder), "tensors").Detail, StringComparison.Ordinal);
        Assert.Contains(
            Extra, Failed(Validator.Validate(folder, null), "config").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_WrongShape_FailsTensorsAndConfig()
    {
        var folder = _model.Write(t => t.Name == Query ? t with { Shape = [16, 64] } : t);
        Assert.Contains(Query, Failed(Validate(folder), "tensors").Detail, StringComparison.Ordinal);
        Assert.Contains(
            "[32, 32]", Failed(Validator.Validate(folder, null), "config").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_WrongType_FailsTensors()
    {
        var folder = _model.Write(t => t.Name == Query ? t with { Type = SafetensorsType.F32 } : t);
        Assert.Contains("F32", Failed(Validate(folder), "tensors").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_NaNInOneWeight_FailsFiniteAndNamesTensorAndElement()
    {
        var folder = _model.Write(t =>
        {
            if (t.Name == Query)
            {
                t.Values[7] = float.NaN;
            }

            return t;
        });
        var finding = Failed(Validate(folder), "finite");
        Assert.Equal((Query, "1 NaN, 0 infinite, the first at element 7"), (finding.Detail, finding.Found));
    }

    [Theory]
    [InlineData("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "no model.layers.2.")]
    [InlineData("\"intermediate_size\": 48", "\"intermediate_size\": 40", "[40, 32]")]
    [InlineData("\"vocab_size\": 320", "\"vocab_size\": 321", "[321, 32]")]
    [InlineData("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "no lm_head.weight")]
    public void Validate_ConfigThatContradictsTheTensors_FailsConfigWithoutTheBase(
        string from, string to, string detail)
    {
        var folder = _model.Write();
        ModelFolder.Replace(folder, FullModelFiles.Config, from, to);
        ModelFolder.Seal(folder);
        Assert.Contains(detail, Failed(Validator.Validate(folder, null), "config").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_ConfigWithAnotherBaseOfTheRotation_FailsConfig()
    {
        var folder = _model.Write();
        ModelFolder.Replace(folder, FullModelFiles.Config, "\"rope_theta\": 10000", "\"rope_theta\": 20000");
        ModelFolder.Seal(folder);
        Assert.Contains("rope", Failed(Validate(folder), "config").Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_ConfigThatIsNoJson_FailsConfigWithoutThrowing()
    {
        var folder = _model.Write();
        File.WriteAllText(Path.Combine(folder, FullModelFiles.Config), "{");
        ModelFolder.Seal(folder);
        Assert.Contains("config.json", Failed(Validate(folder), "config").Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_WithoutTokenizer_FailsTokenizer()
    {
        var folder = _model.Write();
        File.Delete(Path.Combine(folder, "tokenizer.json"));
        ModelFolder.Seal(folder);
        Assert.Contains("tokenizer.json", Failed(Validate(folder), "tokenizer").Found, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("tokenizer_config.json", "{}")]
    [InlineData("chat_template.jinja", "{{ messages[0].content }}")]
    public void Validate_AnotherTokenizerFileThanTheBases_FailsTokenizer(string name, string text)
    {
        var folder = _model.Write();
        File.WriteAllText(Path.Combine(folder, name), text);
        ModelFolder.Seal(folder);
        Assert.Equal(name, Failed(Validate(folder), "tokenizer").Detail);
        Assert.True(Validator.Validate(folder, _model.Base, tokenizerFolder: folder).Passed);
    }

    [Fact]
    public void Validate_TokenizerWithMoreIdsThanTheTable_FailsTokenizer()
    {
        var folder = _model.Write();
        var larger = _model.At("larger");
        const string Letters = "abcdefghijklmnopqrstuvwxyz zyxwvutsrqponmlkjihgfedcba αβγδεζηθικλμνξοπρστυφχψω ";
        BpeTrainer.Train([string.Concat(Enumerable.Repeat(Letters, 4))], 400, 1).Save(larger);
        File.Copy(Path.Combine(larger, "tokenizer.json"), Path.Combine(folder, "tokenizer.json"), overwrite: true);
        ModelFolder.Seal(folder);
        Assert.Equal(
            "at most 320 ids, the rows of the embedding table", Failed(Validate(folder), "tokenizer").Expected);
    }

    [Fact]
    public void Validate_WeightsOfTheBase_FailTrained()
    {
        var folder = _model.Write(t => t, step: 0);
        Assert.StartsWith("15 of 15", Failed(Validate(folder), "trained").Found, StringComparison.Ordinal);
    }

    [Fact]
    public void Validate_OneMatrixOfTheBase_Warns()
    {
        var folder = _model.Write(t => t.Name == Query ? t with { Values = _model.ReadBase(Query) } : t);
        var report = Validate(folder);
        var finding = Assert.Single(report.Findings, f => f.Name == "trained");
        Assert.Equal((CheckStatus.Warn, Query), (finding.Status, finding.Detail));
        Assert.True(report.Passed);
    }

    [Fact]
    public void Validate_AMatrixChangedInTheMiddleAlone_PassesTrained()
    {
        // 320 × 32 in bf16 are 20 KiB: rows of tokens that occurred lie between rows of tokens that did not.
        var folder = _model.Write(t =>
        {
            if (t.Name == ModelWeights.EmbeddingName)
            {
                t = t with { Values = _model.ReadBase(t.Name) };
                t.Values[160 * 32] += 1;
            }

            return t;
        });
        Assert.Equal(CheckStatus.Pass, Assert.Single(Validate(folder).Findings, f => f.Name == "trained").Status);
    }

    [Fact]
    public void Validate_AgainstAnotherBase_FailsBaseModel()
    {
        var folder = _model.Write();
        Failed(Validator.Validate(folder, _model.MakeBase("other", seed: 2)), "base model");
    }

    private static Finding Failed(ValidationReport report, string check)
    {
        var failed = report.Findings.Where(f => f.Name == check && f.Status == CheckStatus.Fail).ToArray();
        Assert.True(failed.Length > 0, $"'{check}' has not failed: {string.Join('\n', report.Findings)}");
        return failed[0];
    }

    private ValidationReport Validate(string folder) => Validator.Validate(folder, _model.Base);
}
