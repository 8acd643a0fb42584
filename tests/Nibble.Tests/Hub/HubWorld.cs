using Nibble.Hub;

namespace Nibble.Tests.Hub;

/// <summary>A fake Hub, an empty cache and a clock whose pauses take no time.</summary>
internal sealed class HubWorld : IDisposable
{
    public const string Secret = "hf_0123456789secret";

    private readonly TemporaryFolder _folder = new();

    public FakeHub Hub { get; } = new();

    public string Cache => _folder["hub"];

    public PatientClock Clock { get; } = new();

    /// <summary>As on a system without links.</summary>
    public bool WithoutLinks { get; set; }

    public HubClient Client(string? token = null, bool offline = false) => new(
        new HubSettings
        {
            Endpoint = Hub.Endpoint,
            CacheFolder = Cache,
            Offline = offline,
            WithoutLinks = WithoutLinks,
            Token = token,
            AnswerTimeout = PatientClock.Limit,
            DownloadTimeout = PatientClock.Limit,
        },
        Clock);

    /// <summary>Lists a model and brings all its files.</summary>
    public async Task<HubListing> Fetch(
        string name, string? token = null, string? revision = null, IProgress<HubProgress>? progress = null)
    {
        using var client = Client(token);
        var listing = await client.ListAsync(HubRepository.Of(HubKind.Model, name, revision), Stop);
        await client.DownloadAsync(listing, listing.Files, progress, Stop);
        return listing;
    }

    /// <summary>Path below the cache of a model.</summary>
    public string Model(string name, params string[] parts) =>
        Path.Combine([Cache, $"models--{name.Replace("/", "--", StringComparison.Ordinal)}", .. parts]);

    /// <summary>Bytes that differ from one another.</summary>
    public static byte[] Bytes(int count) => [.. Enumerable.Range(0, count).Select(i => (byte)((i * 31) ^ (i >> 8)))];

    public static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        Hub.Dispose();
        _folder.Dispose();
    }
}

/// <summary>Pauses end at once; time limits, which are longer, never.</summary>
internal sealed class PatientClock : TimeProvider
{
    public static readonly TimeSpan Limit = TimeSpan.FromHours(1);

    private int _pauses;

    public int Pauses => _pauses;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var isPause = dueTime >= TimeSpan.Zero && dueTime < Limit;
        _pauses += isPause ? 1 : 0;
        return base.CreateTimer(
            callback, state, isPause ? TimeSpan.Zero : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }
}
