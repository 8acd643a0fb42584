using System.Net.Sockets;

namespace Nibble.Hub;

/// <summary>What went wrong with a request, as a message that says what to do.</summary>
internal static class Refusals
{
    /// <summary>An answer that is no success.</summary>
    /// <param name="response">The answer.</param>
    /// <param name="about">Repository.</param>
    /// <param name="path">File in it, or null.</param>
    /// <param name="isEndpoint">Whether the Hub itself answered, and not a store it redirects to.</param>
    /// <param name="settings">Endpoint and token.</param>
    /// <param name="time">Clock.</param>
    public static HubException Of(
        HttpResponseMessage response, HubRepository about, string? path, bool isEndpoint, HubSettings settings,
        TimeProvider time)
    {
        var status = (int)response.StatusCode;
        var page = $"{settings.Endpoint.AbsoluteUri.TrimEnd('/')}/{about.Prefix}{about.Name}";
        if (!isEndpoint && status is 401 or 403)
        {
            // Addresses of the store are signed for a while; the Hub gives a fresh one.
            return new HubException(HubError.Server, $"{about}: the file store answered {status}; try again.")
            {
                IsTransient = true,
            };
        }

        return (Header(response, "X-Error-Code"), status) switch
        {
            ("RevisionNotFound", _) => new HubException(
                HubError.RevisionNotFound,
                $"{about.Name}: expected a branch, tag or commit '{about.Revision}', found none in the repository. "
                + $"{page}/tree/main lists them."),
            ("EntryNotFound", _) => NoFile(about, path),
            ("GatedRepo", _) => new HubException(
                HubError.Gated,
                $"{about}: the {about.Noun} is given to those who accept its conditions. Accept them at {page}, then "
                + (settings.HasToken
                    ? "try again with a token (HF_TOKEN) of that same account."
                    : "set HF_TOKEN to a token of that account (made at https://huggingface.co/settings/tokens).")),
            ("RepoNotFound", _) => NoRepository(about, settings),
            (_, 401 or 403) => new HubException(
                HubError.Refused,
                $"{about}: {settings.Endpoint.Host} refused with {status}{Said(response, settings)}. "
                + (settings.HasToken
                    ? "The token that was sent (HF_TOKEN, or the file that the Hub's login leaves) is not valid or may "
                        + "not read this repository; replace it, or unset it for a public repository."
                    : "Set HF_TOKEN to a token that may read this repository.")),
            (_, 404) => path is null ? NoRepository(about, settings) : NoFile(about, path),
            (_, 429) => new HubException(
                HubError.RateLimited,
                $"{about}: {settings.Endpoint.Host} takes no more requests for now (429). Wait some minutes"
                + (settings.HasToken ? "." : "; with HF_TOKEN set the limits are wider."))
            {
                IsTransient = true,
                RetryAfter = RetryAfter(response, time),
            },
            _ => new HubException(
                HubError.Server,
                $"{about}: expected an answer of {settings.Endpoint.Host}, found status {status}"
                + $"{Said(response, settings)}. Try again later.")
            {
                IsTransient = status is 408 or >= 500,
                RetryAfter = RetryAfter(response, time),
            },
        };
    }

    /// <summary>An answer that the interface of the Hub does not allow.</summary>
    public static HubException Odd(HubRepository about, string found) => new(
        HubError.Server,
        $"{about}: expected an answer as the Hub gives it, found {found}. Is HF_ENDPOINT a Hub?");

    /// <summary>A connection that did not come about, or broke.</summary>
    public static HubException Broken(
        HubRepository about, HubSettings settings, string reason, Exception? cause) => new(
        HubError.Network,
        $"{about}: {settings.Endpoint.Host} cannot be reached: {reason}. Check the network and HF_ENDPOINT; "
        + "HF_HUB_OFFLINE=1 uses only what the cache has.",
        cause)
        {
            // What has no name or no listener is not there a second later either.
            IsTransient = cause is not HttpRequestException
            {
                HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError,
            }
            && cause?.InnerException is not SocketException
            {
                SocketErrorCode: SocketError.ConnectionRefused or SocketError.NetworkUnreachable
                    or SocketError.HostUnreachable or SocketError.HostNotFound,
            },
        };

    /// <summary>Why a connection broke, in words that name no address: those of a store hold its signature.</summary>
    public static string Reason(Exception error) => error switch
    {
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError } => "its name is not known",
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError } =>
            "no secure connection (a proxy, or a wrong clock?)",
        HttpRequestException { InnerException: SocketException socket } => $"no connection ({socket.SocketErrorCode})",
        _ => "the connection broke",
    };

    private static HubException NoRepository(HubRepository about, HubSettings settings) => new(
        HubError.RepositoryNotFound,
        $"{about.Name}: there is no such {about.Noun} on {settings.Endpoint.Host}, or it is private "
        + (settings.HasToken ? "and the token does not open it" : "(then set HF_TOKEN)") + ". Check its name.");

    private static HubException NoFile(HubRepository about, string? path) => new(
        HubError.EntryNotFound, $"{about}: expected a file {HubPath.Shown(path ?? "")}, found none in the repository.");

    private static string Said(HttpResponseMessage response, HubSettings settings)
    {
        var text = Header(response, "X-Error-Message");
        if (text is not null && settings.Token is { } token)
        {
            text = text.Replace(token, "***", StringComparison.Ordinal);
        }

        return string.IsNullOrWhiteSpace(text) ? "" : $" ({HubPath.Shown(text)})";
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response, TimeProvider time) =>
        response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - time.GetUtcNow() is var wait && wait > TimeSpan.Zero ? wait : TimeSpan.Zero,
            _ => null,
        };

    private static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out var values) ? values.FirstOrDefault() : null;
}
