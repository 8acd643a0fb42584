using Nibble.Hub;

namespace Nibble.Tests.Hub;

/// <summary>Folders, token and switches from the environment, as the Python client reads them; and the names of
/// repositories.</summary>
public sealed class HubSettingsTests
{
    private const string Home = "/users/me";

    [Theory]
    [InlineData("", "/users/me/.cache/huggingface/hub")]
    [InlineData("XDG_CACHE_HOME=/x", "/x/huggingface/hub")]
    [InlineData("XDG_CACHE_HOME=/x HF_HOME=/h", "/h/hub")]
    [InlineData("HF_HOME=/h HUGGINGFACE_HUB_CACHE=/old", "/old")]
    [InlineData("HF_HOME=/h HUGGINGFACE_HUB_CACHE=/old HF_HUB_CACHE=/c", "/c")]
    [InlineData("HF_HOME=~/hf", "/users/me/hf/hub")]
    [InlineData("HF_HOME=", "/users/me/.cache/huggingface/hub")]
    public void CacheFolder_FollowsTheVariables(string variables, string folder) =>
        Assert.Equal(folder, Read(variables).CacheFolder.Replace('\\', '/'));

    [Theory]
    [InlineData("", false)]
    [InlineData("HF_HUB_OFFLINE=1", true)]
    [InlineData("HF_HUB_OFFLINE=True", true)]
    [InlineData("HF_HUB_OFFLINE=0", false)]
    [InlineData("TRANSFORMERS_OFFLINE=yes", true)]
    public void Offline_FollowsTheVariables(string variables, bool offline) =>
        Assert.Equal(offline, Read(variables).Offline);

    [Theory]
    [InlineData("", null)]
    [InlineData("HF_TOKEN=new HUGGING_FACE_HUB_TOKEN=old", "new")]
    [InlineData("HUGGING_FACE_HUB_TOKEN=old", "old")]
    [InlineData("HF_TOKEN=new HF_HUB_DISABLE_IMPLICIT_TOKEN=1", null)]
    public void Token_FollowsTheVariables(string variables, string? token) =>
        Assert.Equal(token, Read(variables).Token);

    [Fact]
    public void Token_WithoutVariables_IsTheOneOfTheFile()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["token"], " from-home\n");
        File.WriteAllText(folder["other"], "from-path");

        Assert.Equal("from-home", Read($"HF_HOME={folder.Path}").Token);
        Assert.Equal("from-path", Read($"HF_HOME={folder.Path} HF_TOKEN_PATH={folder["other"]}").Token);
        Assert.Equal("variable", Read($"HF_HOME={folder.Path} HF_TOKEN=variable").Token);
    }

    [Fact]
    public void Token_ThatNoHeaderCanCarry_IsRefusedWithoutShowingIt()
    {
        var error = Assert.Throws<HubException>(
            () => HubSettings.From(name => name == "HF_TOKEN" ? "sec\r\nret" : null, Home));

        Assert.DoesNotContain("sec", error.Message);
        Assert.StartsWith("HF_TOKEN", error.Message);
    }

    [Theory]
    [InlineData("not an address")]
    [InlineData("ftp://hub")]
    [InlineData("https://user:password@hub")]
    public void Endpoint_OfAnotherKind_IsRefusedWithoutShowingIt(string endpoint)
    {
        var error = Assert.Throws<HubException>(
            () => HubSettings.From(name => name == "HF_ENDPOINT" ? endpoint : null, Home));

        Assert.DoesNotContain("password", error.Message);
    }

    [Theory]
    [InlineData("Qwen/Qwen2.5-Coder-7B-Instruct", true)]
    [InlineData("a/b", true)]
    [InlineData("0x/_b", true)]
    [InlineData("gpt2", false)]
    [InlineData("a/b/c", false)]
    [InlineData("./b", false)]
    [InlineData("../b", false)]
    [InlineData("a/..", false)]
    [InlineData("a/b..c", false)]
    [InlineData("a--b/c", false)]
    [InlineData("a/b.git", false)]
    [InlineData("a/b\n", false)]
    [InlineData("a\\b", false)]
    [InlineData("/a", false)]
    [InlineData("C:/a", false)]
    [InlineData("a/", false)]
    [InlineData("a b/c", false)]
    public void IsName_TakesNamesOfTheHubAlone(string name, bool isName) =>
        Assert.Equal(isName, HubRepository.IsName(name));

    [Theory]
    [InlineData("main", true)]
    [InlineData("refs/pr/1", true)]
    [InlineData("v1.0", true)]
    [InlineData("../main", false)]
    [InlineData("a/../../b", false)]
    [InlineData("/main", false)]
    [InlineData("a\\b", false)]
    [InlineData("", false)]
    [InlineData("a\0", false)]
    [InlineData("main~1", false)]
    public void Revision_ThatIsNone_IsRefused(string revision, bool isOne)
    {
        var error = Record.Exception(() => HubRepository.Of(HubKind.Model, "a/b", revision));

        Assert.Equal(isOne, error is null);
        Assert.True(error is null or HubException { Error: HubError.InvalidName, IsMistake: true });
    }

    private static HubSettings Read(string variables)
    {
        var values = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=', 2))
            .ToDictionary(pair => pair[0], pair => pair[1]);
        return HubSettings.From(values.GetValueOrDefault, Home);
    }
}
