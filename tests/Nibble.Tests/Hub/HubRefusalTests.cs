using Nibble.Hub;

namespace Nibble.Tests.Hub;

/// <summary>Where the token goes, what messages say, and which names are refused.</summary>
public sealed class HubRefusalTests : IDisposable
{
    private const string Name = "Org/Tiny-1.5";

    private readonly HubWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Token_GoesToTheHubAlone()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}").Add("w.safetensors", HubWorld.Bytes(9), large: true);

        await _world.Fetch(Name, HubWorld.Secret);

        Assert.All(
            _world.Hub.Requests.Where(r => r.Host == "hub"),
            request => Assert.Equal($"Bearer {HubWorld.Secret}", request.Token));
        Assert.Null(Assert.Single(_world.Hub.Requests, r => r.Host == "store").Token);
    }

    [Theory]
    [InlineData("http://store.example/w")]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://127.0.0.1/w")]
    public async Task Redirect_ToAnOpenOrOtherConnection_IsRefused(string address)
    {
        _world.Hub.AddModel(Name).Add("w.safetensors", HubWorld.Bytes(9), large: true);
        _world.Hub.OtherStore = address;

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(HubError.Server, error.Error);
        Assert.Contains("not https", error.Message);
    }

    [Fact]
    public async Task Redirect_WithoutEnd_IsRefused()
    {
        _world.Hub.AddModel(Name).Add("w.safetensors", HubWorld.Bytes(9), large: true);
        _world.Hub.OtherStore = $"/{Name}/resolve/main/w.safetensors";

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name, HubWorld.Secret));

        Assert.Contains("redirects", error.Message);
        Assert.All(_world.Hub.Requests, request => Assert.NotNull(request.Token));
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    [InlineData(500)]
    public async Task Token_StandsInNoMessage(int status)
    {
        // The fake's answer repeats what it was sent.
        _world.Hub.AddModel(Name).Add("config.json", "{}");
        _world.Hub.Failures["config.json"] = new(Enumerable.Repeat(status, 10));

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name, HubWorld.Secret));

        Assert.Contains("you sent Bearer ***", error.Message);
        Assert.DoesNotContain(HubWorld.Secret, error.ToString());
    }

    [Fact]
    public async Task Message_OfABrokenStore_NamesNoSignature()
    {
        _world.Hub.AddModel(Name).Add("w.safetensors", HubWorld.Bytes(9), large: true);
        _world.Hub.Cuts["w.safetensors"] = new(Enumerable.Repeat(0, 10));

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(HubError.Network, error.Error);
        Assert.DoesNotContain("secret-signature", error.ToString());
    }

    [Fact]
    public async Task Gated_WithoutToken_SaysWhereToAcceptAndWhatToSet()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}").GatedFor = HubWorld.Secret;

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(HubError.Gated, error.Error);
        Assert.True(error.IsMistake);
        Assert.Contains($"{_world.Hub.Endpoint}{Name}", error.Message);
        Assert.Contains("HF_TOKEN", error.Message);
        await _world.Fetch(Name, HubWorld.Secret);
    }

    [Fact]
    public async Task List_UnknownRepositoryAndRevision_AreToldApart()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}");

        var repository = await Assert.ThrowsAsync<HubException>(() => _world.Fetch("Org/Other"));
        var revision = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name, revision: "v9"));

        Assert.Equal(HubError.RepositoryNotFound, repository.Error);
        Assert.Equal(HubError.RevisionNotFound, revision.Error);
        Assert.Contains("'v9'", revision.Message);
        Assert.False(Directory.Exists(_world.Cache));
    }

    [Theory]
    [InlineData("../../../evil.json")]
    [InlineData("/evil.json")]
    [InlineData("a/../../evil.json")]
    [InlineData("C:/evil.json")]
    [InlineData("a\\evil.json")]
    [InlineData("a/aux.json")]
    [InlineData("a//evil.json")]
    [InlineData("evil.json\0")]
    [InlineData("evil.json.")]
    public async Task Download_PathThatLeavesItsFolder_IsRefusedBeforeAnyFile(string path)
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}").Add(path, "x");

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(HubError.InvalidName, error.Error);
        Assert.DoesNotContain('\0', error.Message);
        Assert.DoesNotContain(_world.Hub.Requests, request => request.Path.Contains("/resolve/"));
        Assert.Empty(Directory.GetFiles(_world.Cache, "*evil*", SearchOption.AllDirectories));
    }
}
