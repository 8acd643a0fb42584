using System.Text;
using Nibble.Hub;

namespace Nibble.Tests.Hub;

/// <summary>What downloading leaves in the cache, what it asks for, and what it refuses.</summary>
public sealed class HubClientTests : IDisposable
{
    private const string Name = "Org/Tiny-1.5";

    private readonly HubWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task Download_Layout_IsTheOneOfThePythonClient()
    {
        var weights = HubWorld.Bytes(300_000);
        var model = _world.Hub.AddModel(Name).Add("config.json", "{}").Add("sub/dir/notes.txt", "n")
            .Add("model.safetensors", weights, large: true);

        var listing = await _world.Fetch(Name);

        Assert.Equal(model.Commit, File.ReadAllText(_world.Model(Name, "refs", "main")));
        Assert.Equal(_world.Model(Name, "snapshots", model.Commit), listing.Folder);
        foreach (var (path, up) in new[]
        {
            ("config.json", "../../blobs/"), ("model.safetensors", "../../blobs/"),
            ("sub/dir/notes.txt", "../../../../blobs/"),
        })
        {
            var (file, entry) = (Path.Combine(listing.Folder, path), model.Files[path]);
            Assert.Equal(entry.Content, File.ReadAllBytes(file));
            Assert.Equal(entry.Content, File.ReadAllBytes(_world.Model(Name, "blobs", entry.Digest)));
            Assert.Equal(up + entry.Digest, new FileInfo(file).LinkTarget?.Replace('\\', '/'));
            Assert.True(File.Exists(
                Path.Combine(_world.Cache, ".locks", "models--Org--Tiny-1.5", entry.Digest + ".lock")));
        }

        Assert.Equal(3, Directory.GetFiles(_world.Model(Name, "blobs")).Length);
    }

    [Fact]
    public async Task Download_WithoutLinks_PutsTheContentThere()
    {
        _world.WithoutLinks = true;
        var model = _world.Hub.AddModel(Name).Add("config.json", "{}")
            .Add("sub/w.safetensors", HubWorld.Bytes(9), large: true);

        var listing = await _world.Fetch(Name);
        await _world.Fetch(Name);

        foreach (var (path, entry) in model.Files)
        {
            var file = Path.Combine(listing.Folder, path);
            Assert.Null(new FileInfo(file).LinkTarget);
            Assert.Equal(entry.Content, File.ReadAllBytes(file));
            Assert.Single(_world.Hub.Requests, request => request.Path.Contains($"/resolve/{model.Commit}/{path}"));
        }
    }

    [Fact]
    public async Task Download_Again_AsksForNoFile()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}").Add("w.safetensors", HubWorld.Bytes(9), large: true);
        await _world.Fetch(Name);
        _world.Hub.Requests.Clear();

        await _world.Fetch(Name);

        Assert.All(_world.Hub.Requests, request => Assert.StartsWith("/api/", request.Path));
    }

    [Fact]
    public async Task Download_OfWhatAnotherCommitHas_LinksIt()
    {
        var model = _world.Hub.AddModel(Name).Add("config.json", "{}").Add("w.safetensors", HubWorld.Bytes(9), true);
        var first = await _world.Fetch(Name);
        model.Commit = FakeHub.CommitOf("second");
        model.Add("config.json", "{ }");
        _world.Hub.Requests.Clear();

        var second = await _world.Fetch(Name);

        Assert.NotEqual(first.Folder, second.Folder);
        Assert.Equal(HubWorld.Bytes(9), File.ReadAllBytes(Path.Combine(second.Folder, "w.safetensors")));
        Assert.DoesNotContain(_world.Hub.Requests, request => request.Path.Contains("safetensors"));
        Assert.Equal("{}", File.ReadAllText(Path.Combine(first.Folder, "config.json")));
        Assert.Equal(model.Commit, File.ReadAllText(_world.Model(Name, "refs", "main")));
    }

    [Fact]
    public async Task Download_RevisionWithSlash_HasItsOwnRef()
    {
        var model = _world.Hub.AddModel(Name).Add("config.json", "{}");

        await _world.Fetch(Name, revision: "v1/x");

        Assert.Equal(model.Commit, File.ReadAllText(_world.Model(Name, "refs", "v1", "x")));
        Assert.Contains(_world.Hub.Requests, request => request.Path.EndsWith("/revision/v1%2Fx"));
        Assert.False(File.Exists(_world.Model(Name, "refs", "main")));
    }

    [Fact]
    public async Task Download_CutConnection_GoesOnWithTheMissingBytes()
    {
        var weights = HubWorld.Bytes(200_000);
        _world.Hub.AddModel(Name).Add("w.safetensors", weights, large: true);
        _world.Hub.Cuts["w.safetensors"] = new([70_000, 50_000]);

        var listing = await _world.Fetch(Name);

        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(listing.Folder, "w.safetensors")));
        Assert.Equal([0, 70_000, 120_000], _world.Hub.Requests.Where(r => r.Host == "store").Select(r => r.From));
    }

    [Fact]
    public async Task Download_PartOfAnEarlierProcess_GoesOnThere()
    {
        var weights = HubWorld.Bytes(200_000);
        var model = _world.Hub.AddModel(Name).Add("w.safetensors", weights, large: true);
        Directory.CreateDirectory(_world.Model(Name, "blobs"));
        var partial = _world.Model(Name, "blobs", model.Files["w.safetensors"].Digest + ".incomplete");
        File.WriteAllBytes(partial, weights[..150_000]);

        var listing = await _world.Fetch(Name);

        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(listing.Folder, "w.safetensors")));
        Assert.Equal([150_000], _world.Hub.Requests.Where(r => r.Host == "store").Select(r => r.From));
        Assert.False(File.Exists(partial));
    }

    [Fact]
    public async Task Download_WrongPartOfAnEarlierProcess_StartsOver()
    {
        var weights = HubWorld.Bytes(200_000);
        var model = _world.Hub.AddModel(Name).Add("w.safetensors", weights, large: true);
        Directory.CreateDirectory(_world.Model(Name, "blobs"));
        File.WriteAllBytes(
            _world.Model(Name, "blobs", model.Files["w.safetensors"].Digest + ".incomplete"), new byte[1000]);

        var listing = await _world.Fetch(Name);

        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(listing.Folder, "w.safetensors")));
        Assert.Equal([1000, 0], _world.Hub.Requests.Where(r => r.Host == "store").Select(r => r.From));
    }

    [Fact]
    public async Task Download_ServerWithoutRanges_StartsOver()
    {
        var weights = HubWorld.Bytes(200_000);
        _world.Hub.AddModel(Name).Add("w.safetensors", weights, large: true);
        _world.Hub.Cuts["w.safetensors"] = new([70_000]);
        _world.Hub.IgnoresRanges = true;

        var listing = await _world.Fetch(Name);

        Assert.Equal(weights, File.ReadAllBytes(Path.Combine(listing.Folder, "w.safetensors")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Download_OtherBytesThanTheDigest_AreRefusedAndNotKept(bool large)
    {
        var model = _world.Hub.AddModel(Name).Add("data.json", HubWorld.Bytes(5000), large);
        _world.Hub.Corrupt.Add("data.json");

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(HubError.Checksum, error.Error);
        Assert.False(error.IsMistake);
        Assert.Contains(model.Files["data.json"].Digest, error.Message);
        Assert.Contains("data.json", error.Message);
        Assert.False(File.Exists(_world.Model(Name, "blobs", model.Files["data.json"].Digest)));
        Assert.False(File.Exists(_world.Model(Name, "snapshots", model.Commit, "data.json")));
        _world.Hub.Corrupt.Clear();
        await _world.Fetch(Name);
        Assert.True(File.Exists(_world.Model(Name, "snapshots", model.Commit, "data.json")));
    }

    [Fact]
    public async Task Download_FailuresThatPass_AreTriedAgain()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}");
        _world.Hub.Failures["config.json"] = new([500, 429, 503]);
        _world.Hub.Failures["tree"] = new([502]);

        await _world.Fetch(Name);

        Assert.Equal(4, _world.Hub.Requests.Count(r => r.Path.Contains("/resolve/")));
        Assert.Equal(4, _world.Clock.Pauses);
    }

    [Theory]
    [InlineData(500, HubError.Server, 6)]
    [InlineData(429, HubError.RateLimited, 6)]
    [InlineData(403, HubError.Refused, 1)]
    [InlineData(400, HubError.Server, 1)]
    public async Task Download_FailuresThatStay_AreReportedAfterTheirAttempts(int status, HubError kind, int attempts)
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}");
        _world.Hub.Failures["config.json"] = new(Enumerable.Repeat(status, 10));

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(kind, error.Error);
        Assert.Equal(attempts, _world.Hub.Requests.Count(r => r.Path.Contains("/resolve/")));
    }

    [Fact]
    public async Task List_NothingEverAnswers_GivesUpAfterASecondAttempt()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}");
        _world.Hub.Answering = _ => throw new IOException("as where a firewall closes every connection");

        var error = await Assert.ThrowsAsync<HubException>(() => _world.Fetch(Name));

        Assert.Equal(HubError.Network, error.Error);
        Assert.Equal(1, _world.Clock.Pauses);
    }

    [Fact]
    public async Task List_ManyPages_AreAllRead()
    {
        var model = _world.Hub.AddModel(Name);
        for (var i = 0; i < 25; i++)
        {
            model.Add($"f{i:00}.txt", $"{i}");
        }

        _world.Hub.PageSize = 10;

        var listing = await _world.Fetch(Name);

        Assert.Equal(model.Files.Keys, listing.Files.Select(file => file.Path));
        Assert.Equal(25, Directory.GetFiles(listing.Folder).Length);
    }

    [Fact]
    public async Task Offline_TakesWhatIsThereAndAsksNobody()
    {
        var model = _world.Hub.AddModel(Name).Add("config.json", "{}");
        await _world.Fetch(Name);
        _world.Hub.Requests.Clear();
        using var client = _world.Client(offline: true);

        foreach (var revision in new[] { null, model.Commit })
        {
            var listing = await client.ListAsync(HubRepository.Of(HubKind.Model, Name, revision), HubWorld.Stop);

            Assert.True(listing.IsLocal);
            Assert.Equal([new HubFile("config.json", 2, "")], listing.Files);
            Assert.Equal(
                listing.Folder, await client.DownloadAsync(listing, listing.Files, null, HubWorld.Stop));
        }

        var error = await Assert.ThrowsAsync<HubException>(
            () => client.ListAsync(HubRepository.Of(HubKind.Model, "Org/Other"), HubWorld.Stop));
        Assert.Equal(HubError.Offline, error.Error);
        Assert.Empty(_world.Hub.Requests);
    }

    [Fact]
    public async Task Download_OfTheSameRepositoryAtOnce_FetchesEachFileOnce()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _world.Hub.Gate = gate.Task;
        var model = _world.Hub.AddModel(Name);
        for (var i = 0; i < 6; i++)
        {
            model.Add($"w{i}.safetensors", Encoding.UTF8.GetBytes($"weights {i}"), large: true);
        }

        // No byte is sent before both know what is missing.
        var listed = 0;
        _world.Hub.Answering = request =>
        {
            if (request.Path.Contains("/tree/") && Interlocked.Increment(ref listed) == 2)
            {
                gate.SetResult();
            }
        };
        var listings = await Task.WhenAll(_world.Fetch(Name), _world.Fetch(Name));

        Assert.Equal(listings[0].Folder, listings[1].Folder);
        Assert.Equal(6, _world.Hub.Requests.Count(r => r.Host == "store"));
        Assert.Equal(6, Directory.GetFiles(listings[0].Folder).Length);
    }

    [Fact]
    public async Task Download_Stopped_KeepsThePart()
    {
        var weights = HubWorld.Bytes(3_000_000);
        var model = _world.Hub.AddModel(Name).Add("w.safetensors", weights, large: true);
        using var stop = new CancellationTokenSource();
        using var client = _world.Client();
        var listing = await client.ListAsync(HubRepository.Of(HubKind.Model, Name), HubWorld.Stop);
        var progress = new FirstReport(value => stop.Cancel());

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => client.DownloadAsync(listing, listing.Files, progress, stop.Token));

        var partial = _world.Model(Name, "blobs", model.Files["w.safetensors"].Digest + ".incomplete");
        Assert.InRange(new FileInfo(partial).Length, 1, weights.Length - 1);
        await _world.Fetch(Name);
        Assert.True(_world.Hub.Requests.Last().From > 0);
    }

    [Fact]
    public async Task Progress_EndsAtAllBytesAndFiles()
    {
        _world.Hub.AddModel(Name).Add("config.json", "{}").Add("w.safetensors", HubWorld.Bytes(100_000), large: true);
        _world.Hub.Cuts["w.safetensors"] = new([30_000]);
        _world.Hub.IgnoresRanges = true;
        var last = default(HubProgress);

        await _world.Fetch(Name, progress: new FirstReport(value => last = value, always: true));

        Assert.Equal(new HubProgress(Name, 100_002, 100_002, 2, 2), last);
    }

    [Fact]
    public async Task Download_WithoutRoom_IsRefusedBeforeAnyByte()
    {
        _world.Hub.AddModel(Name).Add("w.safetensors", HubWorld.Bytes(9), large: true);
        using var client = _world.Client();
        var listing = await client.ListAsync(HubRepository.Of(HubKind.Model, Name), HubWorld.Stop);
        var huge = listing.Files.Select(file => file with { Size = long.MaxValue }).ToList();

        var error = await Assert.ThrowsAsync<HubException>(
            () => client.DownloadAsync(listing, huge, null, HubWorld.Stop));

        Assert.Equal(HubError.Storage, error.Error);
        Assert.Contains("HF_HUB_CACHE", error.Message);
        Assert.DoesNotContain(_world.Hub.Requests, request => request.Path.Contains("/resolve/"));
    }

    private sealed class FirstReport(Action<HubProgress> act, bool always = false) : IProgress<HubProgress>
    {
        private readonly Lock _lock = new();
        private bool _told;

        public void Report(HubProgress value)
        {
            lock (_lock)
            {
                if (always || (!_told && value.Bytes > 0))
                {
                    _told = true;
                    act(value);
                }
            }
        }
    }
}
