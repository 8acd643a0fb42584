using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Nibble.Tests.Hub;

/// <summary>A request that came.</summary>
/// <param name="Host">Which of the two servers: <c>hub</c> or <c>store</c>.</param>
/// <param name="Path">Path and query.</param>
/// <param name="Token">Value of the Authorization header, or null.</param>
/// <param name="From">First byte asked for.</param>
internal sealed record HubRequest(string Host, string Path, string? Token, long From);

/// <summary>
/// A Hub on the loopback address with repositories made by a test: the tree and resolve interface, large files behind a
/// redirect to a second server on another port. Faults are set for one path, or for one token.
/// </summary>
internal sealed partial class FakeHub : IDisposable
{
    private readonly Server _hub;
    private readonly Server _store;

    public FakeHub()
    {
        (_hub, _store) = (new Server("hub", Answer), new Server("store", AnswerStore));
    }

    /// <summary>One file; <c>Large</c> makes it an LFS file.</summary>
    public sealed record Entry(byte[] Content, bool Large)
    {
        public string Digest { get; } = Large
            ? Convert.ToHexStringLower(SHA256.HashData(Content))
            : GitHash([.. Encoding.ASCII.GetBytes($"blob {Content.Length}\0"), .. Content]);
    }

    public sealed class Repository
    {
        public required string Commit { get; set; }

        public SortedDictionary<string, Entry> Files { get; } = new(StringComparer.Ordinal);

        /// <summary>Only with this token; without it, the Hub says GatedRepo.</summary>
        public string? GatedFor { get; set; }

        public Repository Add(string path, string text) => Add(path, Encoding.UTF8.GetBytes(text), large: false);

        public Repository Add(string path, byte[] content, bool large)
        {
            Files[path] = new Entry(content, large);
            return this;
        }
    }

    public Uri Endpoint => new($"http://127.0.0.1:{_hub.Port}");

    public ConcurrentQueue<HubRequest> Requests { get; } = [];

    /// <summary>By <c>models/org/name</c> or <c>datasets/org/name</c>.</summary>
    public Dictionary<string, Repository> Repositories { get; } = [];

    /// <summary>Bytes of a path after which the connection is cut; each is used once.</summary>
    public ConcurrentDictionary<string, ConcurrentQueue<int>> Cuts { get; } = [];

    /// <summary>Status codes that paths answer with; each is used once.</summary>
    public ConcurrentDictionary<string, ConcurrentQueue<int>> Failures { get; } = [];

    /// <summary>Paths whose bytes are other than the tree says.</summary>
    public HashSet<string> Corrupt { get; } = [];

    /// <summary>Files on a page of the tree.</summary>
    public int PageSize { get; set; } = 1000;

    /// <summary>Where large files are redirected to in place of the store; null for the store.</summary>
    public string? OtherStore { get; set; }

    /// <summary>Answer to a Range request with the whole content.</summary>
    public bool IgnoresRanges { get; set; }

    /// <summary>Told of each request to the Hub.</summary>
    public Action<HubRequest> Answering { get; set; } = _ => { };

    /// <summary>Waited for before bytes of a file are sent.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public Repository AddModel(string name) => AddRepository($"models/{name}");

    public Repository AddDataset(string name) => AddRepository($"datasets/{name}");

    public static string CommitOf(string seed) => GitHash(Encoding.UTF8.GetBytes(seed));

    public void Dispose()
    {
        _hub.Dispose();
        _store.Dispose();
    }

    private static string GitHash(byte[] bytes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(bytes);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private Repository AddRepository(string key) => Repositories[key] = new Repository { Commit = CommitOf(key) };

    private async Task Answer(Exchange exchange)
    {
        var request = new HubRequest("hub", exchange.Path, exchange.Token, exchange.From);
        Requests.Enqueue(request);
        Answering(request);
        var path = exchange.Path.Split('?')[0];
        if (ApiPattern().Match(path) is { Success: true } api)
        {
            await AnswerApi(exchange, api).ConfigureAwait(false);
            return;
        }

        var file = FilePattern().Match(path);
        var key = (file.Groups["kind"].Value.Length > 0 ? "datasets/" : "models/") + file.Groups["name"].Value;
        if (!file.Success || !Repositories.TryGetValue(key, out var repository))
        {
            await exchange.Refuse(404, "RepoNotFound").ConfigureAwait(false);
            return;
        }

        var name = Uri.UnescapeDataString(file.Groups["path"].Value);
        if (await IsRefused(exchange, repository).ConfigureAwait(false))
        {
            return;
        }

        if (!repository.Files.TryGetValue(name, out var entry))
        {
            await exchange.Refuse(404, "EntryNotFound").ConfigureAwait(false);
        }
        else if (Next(Failures, name) is { } status)
        {
            await exchange.Refuse(status, null).ConfigureAwait(false);
        }
        else if (entry.Large)
        {
            await exchange.Redirect(
                OtherStore ?? $"http://127.0.0.1:{_store.Port}/{key}/{name}?signature=secret-signature")
                .ConfigureAwait(false);
        }
        else
        {
            await Send(exchange, name, entry).ConfigureAwait(false);
        }
    }

    private async Task AnswerApi(Exchange exchange, Match api)
    {
        if (!Repositories.TryGetValue(api.Groups["key"].Value, out var repository))
        {
            await exchange.Refuse(401, "RepoNotFound").ConfigureAwait(false);
            return;
        }

        var revision = Uri.UnescapeDataString(api.Groups["revision"].Value);
        if (Next(Failures, api.Groups["what"].Value) is { } status)
        {
            await exchange.Refuse(status, null).ConfigureAwait(false);
        }
        else if (revision != "main" && revision != "v1/x" && revision != repository.Commit)
        {
            await exchange.Refuse(404, "RevisionNotFound").ConfigureAwait(false);
        }
        else if (api.Groups["what"].Value == "revision")
        {
            await exchange.Json($"{{\"sha\":\"{repository.Commit}\"}}", null).ConfigureAwait(false);
        }
        else
        {
            var cursor = Regex.Match(exchange.Path, @"cursor=(\d+)");
            var skip = cursor.Success ? int.Parse(cursor.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : 0;
            var page = new Uri(Endpoint, exchange.Path.Split('?')[0]);
            var next = skip + PageSize < repository.Files.Count
                ? $"<{page}?recursive=true&cursor={skip + PageSize}>; rel=\"next\""
                : null;
            await exchange.Json(Tree(repository.Files.Skip(skip).Take(PageSize)), next).ConfigureAwait(false);
        }
    }

    private async Task AnswerStore(Exchange exchange)
    {
        Requests.Enqueue(new HubRequest("store", exchange.Path, exchange.Token, exchange.From));
        var parts = exchange.Path.Split('?')[0].TrimStart('/').Split('/', 4);
        var entry = Repositories[string.Join('/', parts.Take(3))].Files[parts[3]];
        await Send(exchange, parts[3], entry).ConfigureAwait(false);
    }

    private static async Task<bool> IsRefused(Exchange exchange, Repository repository)
    {
        if (repository.GatedFor is not { } token || exchange.Token == $"Bearer {token}")
        {
            return false;
        }

        await exchange.Refuse(exchange.Token is null ? 401 : 403, "GatedRepo").ConfigureAwait(false);
        return true;
    }

    private async Task Send(Exchange exchange, string name, Entry entry)
    {
        await Gate.ConfigureAwait(false);
        var content = Corrupt.Contains(name) ? [.. entry.Content.Select(b => (byte)(b ^ 1))] : entry.Content;
        var from = IgnoresRanges ? 0 : (int)exchange.From;
        await exchange.Send(content, from, Next(Cuts, name)).ConfigureAwait(false);
    }

    private static int? Next(ConcurrentDictionary<string, ConcurrentQueue<int>> plan, string name) =>
        plan.TryGetValue(name, out var queue) && queue.TryDequeue(out var value) ? value : null;

    private static string Tree(IEnumerable<KeyValuePair<string, Entry>> files)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartArray();
            foreach (var (path, entry) in files)
            {
                json.WriteStartObject();
                json.WriteString("type", "file");
                json.WriteString("path", path);
                json.WriteString("oid", entry.Large ? CommitOf(path) : entry.Digest);
                json.WriteNumber("size", entry.Content.Length);
                if (entry.Large)
                {
                    json.WriteStartObject("lfs");
                    json.WriteString("oid", entry.Digest);
                    json.WriteNumber("size", entry.Content.Length);
                    json.WriteEndObject();
                }

                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        return Encoding.UTF8.GetString(text.ToArray());
    }

    [GeneratedRegex("^/api/(?<key>(models|datasets)/[^/]+/[^/]+)/(?<what>revision|tree)/(?<revision>[^/]+)$")]
    private static partial Regex ApiPattern();

    [GeneratedRegex("^/(?<kind>datasets/)?(?<name>[^/]+/[^/]+)/resolve/(?<revision>[^/]+)/(?<path>.+)$")]
    private static partial Regex FilePattern();

    /// <summary>One request and its answer, one per connection.</summary>
    private sealed class Exchange(NetworkStream stream, string path, string? token, long from)
    {
        public string Path => path;

        public string? Token => token;

        public long From => from;

        public Task Refuse(int status, string? code) => Write(
            status, (code is null ? "" : $"X-Error-Code: {code}\r\n") + $"X-Error-Message: you sent {token}\r\n", []);

        public Task Redirect(string address) => Write(302, $"Location: {address}\r\n", []);

        public Task Json(string text, string? link) => Write(
            200, "Content-Type: application/json\r\n" + (link is null ? "" : $"Link: {link}\r\n"),
            Encoding.UTF8.GetBytes(text));

        public Task Send(byte[] content, int start, int? cut) => Write(
            start > 0 ? 206 : 200,
            start > 0 ? $"Content-Range: bytes {start}-{content.Length - 1}/{content.Length}\r\n" : "",
            content[start..], cut);

        private async Task Write(int status, string headers, byte[] body, int? cut = null)
        {
            var head = $"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {body.Length}\r\n{headers}\r\n";
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head)).ConfigureAwait(false);
            await stream.WriteAsync(body.AsMemory(0, Math.Min(cut ?? body.Length, body.Length))).ConfigureAwait(false);
        }
    }

    private sealed class Server : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly Func<Exchange, Task> _answer;

        public Server(string name, Func<Exchange, Task> answer)
        {
            (Name, _answer) = (name, answer);
            _listener.Start();
            _ = Accept();
        }

        public string Name { get; }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public void Dispose() => _listener.Dispose();

        private async Task Accept()
        {
            while (true)
            {
                TcpClient client;
                try
                {
                    client = await _listener.AcceptTcpClientAsync().ConfigureAwait(false);
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    return;
                }

                _ = Task.Run(() => Serve(client));
            }
        }

        private async Task Serve(TcpClient client)
        {
            using (client)
            {
                try
                {
                    var stream = client.GetStream();
                    using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
                    var path = (await reader.ReadLineAsync().ConfigureAwait(false))?.Split(' ')[1];
                    var (token, from) = ((string?)null, 0L);
                    while (await reader.ReadLineAsync().ConfigureAwait(false) is { Length: > 0 } line)
                    {
                        if (line.StartsWith("Authorization: ", StringComparison.OrdinalIgnoreCase))
                        {
                            token = line["Authorization: ".Length..];
                        }
                        else if (line.StartsWith("Range: bytes=", StringComparison.OrdinalIgnoreCase))
                        {
                            from = long.Parse(line.AsSpan(13).TrimEnd('-'), CultureInfo.InvariantCulture);
                        }
                    }

                    if (path is not null)
                    {
                        await _answer(new Exchange(stream, path, token, from)).ConfigureAwait(false);
                    }
                }
                catch (IOException)
                {
                    // The client has gone.
                }
            }
        }
    }
}
