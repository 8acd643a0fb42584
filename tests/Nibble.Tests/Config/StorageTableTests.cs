using Nibble.Config;

namespace Nibble.Tests.Config;

/// <summary>What each combination of the keys that say how base weights are stored, and what trains, comes to. Nothing
/// is ignored: a combination that has no meaning is refused at the key that has none.</summary>
public sealed class StorageTableTests
{
    private const string Fp4 = "{bnb_4bit_quant_type: fp4, bnb_4bit_use_double_quant: false}";

    [Theory]
    [InlineData("", false, false, "", "every weight, Dense")]
    [InlineData("", false, false, Fp4, "refused: bnb_config_kwargs")]
    [InlineData("", false, true, "", "refused: load_in_8bit")]
    [InlineData("", false, true, Fp4, "refused: bnb_config_kwargs load_in_8bit")]
    [InlineData("", true, false, "", "refused: load_in_4bit")]
    [InlineData("", true, false, Fp4, "refused: load_in_4bit")]
    [InlineData("", true, true, "", "refused: load_in_4bit load_in_8bit")]
    [InlineData("", true, true, Fp4, "refused: load_in_4bit load_in_8bit")]
    [InlineData("lora", false, false, "", "LoRA over full weights, Dense")]
    [InlineData("lora", false, false, Fp4, "refused: bnb_config_kwargs")]
    [InlineData("lora", false, true, "", "refused: load_in_8bit")]
    [InlineData("lora", false, true, Fp4, "refused: bnb_config_kwargs load_in_8bit")]
    [InlineData("lora", true, false, "", "LoRA over 4-bit weights (QLoRA), Nf4, double quantisation")]
    [InlineData("lora", true, false, Fp4, "LoRA over 4-bit weights (QLoRA), Fp4")]
    [InlineData("lora", true, true, "", "refused: load_in_8bit")]
    [InlineData("lora", true, true, Fp4, "refused: load_in_8bit")]
    [InlineData("qlora", false, false, "", "refused: adapter")]
    [InlineData("qlora", false, false, Fp4, "refused: adapter bnb_config_kwargs")]
    [InlineData("qlora", false, true, "", "refused: adapter load_in_8bit")]
    [InlineData("qlora", false, true, Fp4, "refused: adapter bnb_config_kwargs load_in_8bit")]
    [InlineData("qlora", true, false, "", "LoRA over 4-bit weights (QLoRA), Nf4, double quantisation")]
    [InlineData("qlora", true, false, Fp4, "LoRA over 4-bit weights (QLoRA), Fp4")]
    [InlineData("qlora", true, true, "", "refused: load_in_8bit")]
    [InlineData("qlora", true, true, Fp4, "refused: load_in_8bit")]
    public void Combination_OfStorageAndAdapter_TrainsOrIsRefused(
        string adapter, bool fourBit, bool eightBit, string kwargs, string expected)
    {
        var text = Configs.Minimal
            + (adapter.Length > 0 ? $"adapter: {adapter}\nlora_r: 8\nlora_alpha: 16\n" : "")
            + (fourBit ? "load_in_4bit: true\n" : "")
            + (eightBit ? "load_in_8bit: true\n" : "")
            + (kwargs.Length > 0 ? $"bnb_config_kwargs: {kwargs}\n" : "");
        Assert.Equal(expected, Outcome(text));

        // A key that says false asks for nothing.
        var asFalse = (fourBit ? "" : "load_in_4bit: false\n") + (eightBit ? "" : "load_in_8bit: false\n");
        Assert.Equal(expected, Outcome(text + asFalse));
    }

    [Fact]
    public void EightBitWeights_Refused_SayWhatToUse() => Assert.Contains(
        "use load_in_4bit: true", Configs.RefusedOnce(Configs.Lora + "load_in_8bit: true\n").Problem,
        StringComparison.Ordinal);

    private static string Outcome(string text)
    {
        try
        {
            var loaded = ConfigLoader.Parse(text, Configs.File);
            var storage = loaded.Config.Quantization;
            var trains = loaded.Keys.SingleOrDefault(k => k.Key == "adapter")?.Effective;
            return $"{(loaded.Config.Lora is null ? "every weight" : trains)}, {storage.Storage}"
                + (storage.DoubleQuantization ? ", double quantisation" : "");
        }
        catch (ConfigException e)
        {
            return "refused: " + string.Join(
                ' ', e.Findings.Select(f => f.Key).Distinct().Order(StringComparer.Ordinal));
        }
    }
}
