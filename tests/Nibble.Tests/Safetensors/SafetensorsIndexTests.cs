using Nibble.Tensors;

namespace Nibble.Tests.Safetensors;

public sealed class SafetensorsIndexTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_Shards_FindsEveryTensor()
    {
        Shard("model-00001-of-00002.safetensors", "a", "b");
        Shard("model-00002-of-00002.safetensors", "c");
        Index("\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00001-of-00002.safetensors\","
            + "\"c\":\"model-00002-of-00002.safetensors\"");
        using var index = SafetensorsIndex.Open(_folder.Path);
        Assert.Equal(["a", "b", "c"], index.Names.Order());
        Assert.Equal(2, index.Files.Count);
        Assert.Equal([1f], index.ReadSingle("c"));
        Assert.True(index.Contains("b"));
        Assert.Throws<SafetensorsException>(() => index.Get("d"));
    }

    [Fact]
    public void Open_MissingShard_NamesIt()
    {
        Shard("one.safetensors", "a");
        Index("\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"");
        AssertRefused("two.safetensors");
    }

    [Fact]
    public void Open_ListedTensorThatNoShardHas_NamesIt()
    {
        Shard("one.safetensors", "a");
        Index("\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"");
        AssertRefused("tensor 'b'");
    }

    [Fact]
    public void Open_TensorListedInTheWrongShard_NamesBoth()
    {
        Shard("one.safetensors", "a");
        Shard("two.safetensors", "b");
        Index("\"a\":\"one.safetensors\",\"b\":\"two.safetensors\",\"c\":\"one.safetensors\"");
        AssertRefused("tensor 'c'");
        Index("\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"");
        AssertRefused("found it in");
    }

    [Fact]
    public void Open_TensorInTwoShards_NamesBoth()
    {
        Shard("one.safetensors", "a");
        Shard("two.safetensors", "a", "b");
        Index("\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"");
        AssertRefused("it in one.safetensors and in two.safetensors");
    }

    [Theory]
    [InlineData("../one.safetensors")]
    [InlineData("/etc/one.safetensors")]
    [InlineData("sub/../../one.safetensors")]
    [InlineData("..\\\\one.safetensors")]
    [InlineData("C:one.safetensors")]
    [InlineData("")]
    public void Open_ShardOutsideTheFolder_IsRefused(string shard)
    {
        Index($"\"a\":\"{shard}\"");
        AssertRefused("a shard inside the folder");
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{\"weight_map\":[]}")]
    [InlineData("{\"weight_map\":{\"a\":1}}")]
    [InlineData("{\"weight_map\":")]
    public void Open_MalformedIndex_SaysSo(string json)
    {
        File.WriteAllText(_folder["model.safetensors.index.json"], json);
        AssertRefused("model.safetensors.index.json");
    }

    [Fact]
    public void Open_NoWeights_SaysWhatWasLookedFor() => AssertRefused("model.safetensors or");

    private void AssertRefused(string message)
    {
        var e = Assert.Throws<SafetensorsException>(() => SafetensorsIndex.Open(_folder.Path));
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }

    private void Index(string pairs) =>
        File.WriteAllText(_folder["model.safetensors.index.json"], $"{{\"metadata\":{{}},\"weight_map\":{{{pairs}}}}}");

    private void Shard(string file, params string[] names)
    {
        using var writer = SafetensorsWriter.Create(
            _folder[file], names.Select(n => new SafetensorsDeclaration(n, SafetensorsType.F32, [1])));
        foreach (var name in names)
        {
            writer.Append(name, [1f]);
        }

        writer.Commit();
    }
}
