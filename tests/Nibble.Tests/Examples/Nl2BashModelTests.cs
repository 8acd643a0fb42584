using System.Globalization;
using Nibble.Config;
using Nibble.Data.Overlap;
using Nibble.Data.Tokenizers;
using Nibble.Models;

namespace Nibble.Tests.Examples;

/// <summary>What holds of the example's model folder and run.</summary>
public sealed class Nl2BashModelTests
{
    private static readonly string Model = Path.Combine(Nl2BashRowsTests.Folder(), "model");

    [Fact]
    public void Rows_NoValidationRowIsNearATrainingRow()
    {
        var report = new OverlapFinder([Path.Combine(Nl2BashRowsTests.Folder(), "val.jsonl")])
            .Scan(
                [Path.Combine(Nl2BashRowsTests.Folder(), "train.jsonl")], null, TestContext.Current.CancellationToken);
        Assert.Empty(report.Findings);
        Assert.Equal(1944, report.Passages);
    }

    [Fact]
    public void ModelCard_SaysTheSizesOfTheModel()
    {
        var card = File.ReadAllText(Path.Combine(Model, "README.md"));
        var config = ModelConfig.Load(Model);
        Assert.Contains(
            config.ParameterCount.ToString("N0", CultureInfo.InvariantCulture), card, StringComparison.Ordinal);
        Assert.Contains(
            HfTokenizer.Load(Model).VocabularySize.ToString("N0", CultureInfo.InvariantCulture), card,
            StringComparison.Ordinal);
        Assert.Contains($"{config.Layers} layers, width {config.HiddenSize}", card, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("val.jsonl")]
    public void Tokenizer_EveryRow_ComesBackFromItsIds(string file)
    {
        var tokenizer = HfTokenizer.Load(Model);
        Assert.All(
            BpeTrainer.ReadTexts([Path.Combine(Nl2BashRowsTests.Folder(), file)]),
            text => Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text), skipSpecial: false)));
    }

    [Fact]
    public void Model_FitsItsTokenizerAndTwelveMegabytes()
    {
        var (config, tokenizer) = (ModelConfig.Load(Model), HfTokenizer.Load(Model));
        Assert.InRange(tokenizer.VocabularySize, 1, config.VocabularySize);
        Assert.Equal([tokenizer.EosId!.Value], config.EosIds);
        Assert.InRange(
            new FileInfo(Path.Combine(Model, "model.safetensors")).Length, 2 * config.ParameterCount, 12_000_000);
        Assert.InRange(Directory.EnumerateFiles(Model).Sum(file => new FileInfo(file).Length), 1, 12_000_000);
    }

    [Fact]
    public void Run_IsFourBitOnEveryLinearAndSaysNothingUnknown()
    {
        var loaded = ConfigLoader.Load(Path.Combine(Nl2BashRowsTests.Folder(), "qlora.yml"), []);
        Assert.Empty(loaded.Warnings);
        Assert.Equal(Model, Path.GetFullPath(loaded.Config.BaseModel.Folder));
        Assert.Equal(new QuantizationOptions(WeightStorage.Nf4, DoubleQuantization: true), loaded.Config.Quantization);
        Assert.Equal(7, loaded.Config.Lora!.TargetModules.Count);
    }
}
