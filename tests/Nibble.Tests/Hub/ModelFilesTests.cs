using Nibble.Hub;

namespace Nibble.Tests.Hub;

/// <summary>Which files of a repository are weights.</summary>
public sealed class ModelFilesTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Weights_OneFile_IsTakenWhateverTheIndexSays() => Assert.Equal(
        ["model.safetensors"],
        Weights(
            """{"weight_map":{"a":"model-00001-of-00001.safetensors"}}""", "config.json", "model.safetensors", Index,
            "pytorch_model.bin"));

    [Fact]
    public void Weights_Shards_AreThoseOfTheIndexEachOnce() => Assert.Equal(
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        Weights(
            """
            {"weight_map":{"b":"model-00002-of-00002.safetensors","a":"model-00001-of-00002.safetensors",
            "c":"model-00002-of-00002.safetensors"}}
            """,
            Index, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "other.safetensors"));

    [Theory]
    [InlineData("""{"weight_map":{"a":"pytorch_model.bin"}}""", "pytorch_model.bin, which is never opened")]
    [InlineData("""{"weight_map":{"a":"../model.safetensors"}}""", "found no such file in the repository")]
    [InlineData("""{"weight_map":{"a":7}}""", "expected {\"weight_map\": {tensor: shard}}")]
    [InlineData("""{"weights":{}}""", "expected {\"weight_map\": {tensor: shard}}")]
    [InlineData("weights", "expected {\"weight_map\": {tensor: shard}}")]
    public void Weights_AnotherIndex_IsRefused(string index, string message)
    {
        var error = Assert.Throws<HubException>(() => Weights(index, Index, "pytorch_model.bin"));

        Assert.Equal(HubError.Unsuitable, error.Error);
        Assert.Contains(message, error.Message);
    }

    [Fact]
    public void Weights_PicklesAlone_SayWhyTheyAreNotOpened()
    {
        var error = Assert.Throws<HubException>(() => Weights(null, "config.json", "pytorch_model.bin"));

        Assert.Equal(HubError.Unsuitable, error.Error);
        Assert.Contains("pytorch_model.bin, which is a pickle", error.Message);
    }

    private IEnumerable<string> Weights(string? index, params string[] files)
    {
        if (index is not null)
        {
            File.WriteAllText(_folder[Index], index);
        }

        var listing = new HubListing(
            HubRepository.Of(HubKind.Model, "org/model"), "0", Path.GetDirectoryName(_folder[Index])!,
            [.. files.Select(path => new HubFile(path, 1, ""))], IsLocal: false);
        return ModelFiles.Weights(listing).Select(file => file.Path);
    }
}
