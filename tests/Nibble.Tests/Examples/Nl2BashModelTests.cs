using Nibble.Config;
using Nibble.Data.Tokenizers;
using Nibble.Models;

namespace Nibble.Tests.Examples;

/// <summary>What holds of the example's model folder and run.</summary>
public sealed class Nl2BashModelTests
{
    private static readonly string Model = Path.Combine(Nl2BashRowsTests.Folder(), "model");

    [Fact]
    public void Tokenizer_IsTheOneTrainedOnTheTrainingRows()
    {
        var folder = Path.Combine(Path.GetTempPath(), "nibble-example-" + Guid.NewGuid().ToString("N"));
        try
        {
            string[] rows = [Path.Combine(Nl2BashRowsTests.Folder(), "train.jsonl")];
            BpeTrainer.Train(BpeTrainer.ReadTexts(rows), 2048).Save(folder);
            foreach (var name in new[] { "tokenizer.json", "tokenizer_config.json" })
            {
                Assert.Equal(File.ReadAllText(Path.Combine(folder, name)), File.ReadAllText(Path.Combine(Model, name)));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
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
        Assert.InRange(new FileInfo(Path.Combine(Model, "model.safetensors")).Length, 2 * config.ParameterCount, 12_000_000);
    }

    [Fact]
    public void Run_IsFourBitOnEveryLinearAndSaysNothingUnknown()
    {
        var loaded = ConfigLoader.Load(Path.Combine(Nl2BashRowsTests.Folder(), "qlora.yml"), []);
        Assert.Empty(loaded.Warnings);
        Assert.Equal(Model, Path.GetFullPath(loaded.Config.BaseModel));
        Assert.Equal(new QuantizationOptions(WeightStorage.Nf4, DoubleQuantization: true), loaded.Config.Quantization);
        Assert.Equal(7, loaded.Config.Lora!.TargetModules.Count);
    }
}
