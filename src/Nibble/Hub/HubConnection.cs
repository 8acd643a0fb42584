using System.Net;
using System.Net.Http.Headers;

namespace Nibble.Hub;

/// <summary>
/// Requests to the Hub. Redirects are followed here and not by the library, so that the token goes to the Hub's own
/// address alone; a failed request becomes a <see cref="HubException"/>, and one that may pass is tried again.
/// </summary>
internal sealed class HubConnection : IDisposable
{
    private const int MostRedirects = 8;
    private const int MostRetries = 5;

    // Where nothing has ever answered, behind a firewall say, five more waits only keep a user from the message.
    private const int MostRetriesUnanswered = 1;
    private static readonly TimeSpan _firstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _longestPause = TimeSpan.FromSeconds(60);

    private readonly HubSettings _settings;
    private readonly TimeProvider _time;
    private readonly HttpClient _http;
    private volatile bool _hasAnswered;

    public HubConnection(HubSettings settings, TimeProvider time)
    {
        (_settings, _time) = (settings, time);
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = settings.AnswerTimeout,
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        var version = typeof(HubConnection).Assembly.GetName().Version;
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("nibble", version?.ToString(3)));

        // Sizes and digests are those of the plain content.
        _http.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>An address below the endpoint.</summary>
    /// <param name="path">Escaped path, without a slash at its start.</param>
    public Uri Address(string path) => new($"{_settings.Endpoint.AbsoluteUri.TrimEnd('/')}/{path}");

    /// <summary>Does something up to six times, twice while nothing has ever answered, with growing pauses, as long as
    /// the failure may pass.</summary>
    /// <param name="attempt">What to do; returns bytes gained before a failure through its argument, which starts the
    /// count of failures anew.</param>
    /// <param name="stop">Ends it between attempts.</param>
    public async Task<T> PersistAsync<T>(Func<Action, Task<T>> attempt, CancellationToken stop)
    {
        for (var failures = 1; ; failures++)
        {
            try
            {
                return await attempt(() => failures = 1).ConfigureAwait(false);
            }
            catch (HubException e) when (e.IsTransient
                && failures <= (_hasAnswered ? MostRetries : MostRetriesUnanswered))
            {
                var pause = e.RetryAfter ?? _firstPause * (1 << (failures - 1));
                await Task.Delay(pause < _longestPause ? pause : _longestPause, _time, stop).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Sends a request and follows redirects until an answer comes.</summary>
    /// <param name="address">Address at the endpoint, or one that it named.</param>
    /// <param name="offset">First byte that is wanted; 0 asks for everything.</param>
    /// <param name="about">Repository, for messages.</param>
    /// <param name="path">File in it, or null.</param>
    /// <param name="stop">Ends the request.</param>
    /// <returns>An answer of success, its content not yet read.</returns>
    /// <exception cref="HubException">No connection, or no success.</exception>
    public async Task<HttpResponseMessage> GetAsync(
        Uri address, long offset, HubRepository about, string? path, CancellationToken stop)
    {
        for (var redirects = 0; ; redirects++)
        {
            RequireSafe(address, about);
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            if (offset > 0)
            {
                request.Headers.Range = new RangeHeaderValue(offset, null);
            }

            if (_settings.Token is { } token && MayCarryToken(address))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            }

            var response = await SendAsync(request, about, stop).ConfigureAwait(false);
            _hasAnswered = true;
            var target = response.Headers.Location;
            if (response.StatusCode is HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther
                or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect && target is not null)
            {
                response.Dispose();
                address = redirects < MostRedirects
                    ? new Uri(address, target)
                    : throw Refusals.Odd(about, $"more than {MostRedirects} redirects");
                continue;
            }

            if (!response.IsSuccessStatusCode)
            {
                using (response)
                {
                    throw Refusals.Of(response, about, path, IsEndpoint(address), _settings, _time);
                }
            }

            return response;
        }
    }

    /// <summary>Runs one step of a request within a time.</summary>
    /// <param name="step">The step.</param>
    /// <param name="limit">Longest time.</param>
    /// <param name="about">Repository, for messages.</param>
    /// <param name="stop">Ends the step.</param>
    /// <exception cref="HubException">The connection broke, or the time is over.</exception>
    public async Task<T> WithinAsync<T>(
        Func<CancellationToken, ValueTask<T>> step, TimeSpan limit, HubRepository about, CancellationToken stop)
    {
        using var clock = new CancellationTokenSource(limit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, clock.Token);
        try
        {
            return await step(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            throw Refusals.Broken(about, _settings, $"no answer within {limit.TotalSeconds:0} s", null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException && !stop.IsCancellationRequested)
        {
            throw Refusals.Broken(about, _settings, Refusals.Reason(e), e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new OperationCanceledException(e.Message, e, stop);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private Task<HttpResponseMessage> SendAsync(
        HttpRequestMessage request, HubRepository about, CancellationToken stop) => WithinAsync(
            token => new ValueTask<HttpResponseMessage>(
                _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token)),
            _settings.AnswerTimeout, about, stop);

    private bool IsEndpoint(Uri address) => address.Scheme == _settings.Endpoint.Scheme
        && address.Port == _settings.Endpoint.Port
        && string.Equals(address.IdnHost, _settings.Endpoint.IdnHost, StringComparison.OrdinalIgnoreCase);

    private bool MayCarryToken(Uri address) =>
        IsEndpoint(address) && (address.Scheme == Uri.UriSchemeHttps || address.IsLoopback);

    // A redirect must not lead from a protected connection to an open one, nor out of HTTP.
    private void RequireSafe(Uri address, HubRepository about)
    {
        if (address.Scheme != Uri.UriSchemeHttps
            && (address.Scheme != Uri.UriSchemeHttp || (!address.IsLoopback && !IsEndpoint(address))))
        {
            throw Refusals.Odd(about, $"a redirect to {address.Scheme}://{address.Host}, which is not https");
        }
    }
}
