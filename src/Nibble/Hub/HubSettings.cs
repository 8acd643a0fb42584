using System.Globalization;

namespace Nibble.Hub;

/// <summary>
/// Where the Hub and its cache are, and who asks. The one place that reads the HF_* environment variables. Source:
/// <c>huggingface/huggingface_hub src/huggingface_hub/constants.py</c>, <c>utils/_auth.py</c>.
/// </summary>
public sealed class HubSettings
{
    private const string DefaultEndpoint = "https://huggingface.co";
    private const int DefaultTimeoutSeconds = 10;

    /// <summary>Address of the Hub, without a slash at its end.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>Folder of all repositories' caches.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>Never use the network.</summary>
    public bool Offline { get; init; }

    /// <summary>Longest wait for a connection, and for the answer to a question about a repository.</summary>
    public TimeSpan AnswerTimeout { get; init; } = TimeSpan.FromSeconds(DefaultTimeoutSeconds);

    /// <summary>Longest wait for the next bytes of a file.</summary>
    public TimeSpan DownloadTimeout { get; init; } = TimeSpan.FromSeconds(DefaultTimeoutSeconds);

    /// <summary>Whether a token is known; its text is nobody's business.</summary>
    public bool HasToken => Token is not null;

    /// <summary>Who asks, or null. It leaves this process as a header to <see cref="Endpoint"/> alone.</summary>
    internal string? Token { get; init; }

    /// <summary>Whether links are not even tried, as on a system that has none.</summary>
    internal bool WithoutLinks { get; init; }

    /// <summary>Settings from the process's environment.</summary>
    /// <exception cref="HubException">A variable does not hold what it should.</exception>
    public static HubSettings FromEnvironment() => From(
        Environment.GetEnvironmentVariable, Environment.GetFolderPath(Environment.SpecialFolder.UserProfile));

    /// <summary>Settings from a set of environment variables.</summary>
    /// <param name="environment">Value of a variable, or null.</param>
    /// <param name="userFolder">The user's own folder.</param>
    /// <exception cref="HubException">A variable does not hold what it should.</exception>
    internal static HubSettings From(Func<string, string?> environment, string userFolder)
    {
        var home = Folder("HF_HOME")
            ?? Path.Combine(Folder("XDG_CACHE_HOME") ?? Path.Combine(userFolder, ".cache"), "huggingface");
        return new HubSettings
        {
            Endpoint = ReadEndpoint(Value("HF_ENDPOINT") ?? DefaultEndpoint),
            CacheFolder = Folder("HF_HUB_CACHE") ?? Folder("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(home, "hub"),
            Offline = IsTrue(Value("HF_HUB_OFFLINE") ?? Value("TRANSFORMERS_OFFLINE")),
            AnswerTimeout = Seconds("HF_HUB_ETAG_TIMEOUT"),
            DownloadTimeout = Seconds("HF_HUB_DOWNLOAD_TIMEOUT"),
            Token = IsTrue(Value("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
                ? null
                : ReadToken(Value, Folder("HF_TOKEN_PATH") ?? Path.Combine(home, "token")),
        };

        string? Value(string name) => environment(name) is { Length: > 0 } value ? value : null;

        string? Folder(string name) => Value(name) switch
        {
            null => null,
            "~" => userFolder,
            ['~', '/' or '\\', .. var rest] => Path.Combine(userFolder, rest),
            var path => path,
        };

        TimeSpan Seconds(string name) => TimeSpan.FromSeconds(
            int.TryParse(Value(name), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds > 0
                ? seconds
                : DefaultTimeoutSeconds);
    }

    private static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static Uri ReadEndpoint(string text) =>
        Uri.TryCreate(text.TrimEnd('/'), UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http"
            && uri.UserInfo.Length == 0 && uri.Query.Length == 0
            ? uri
            : throw new HubException(
                HubError.InvalidName,
                $"HF_ENDPOINT: expected an address such as {DefaultEndpoint}, without user name or query, "
                + "found something else. Correct the variable, or unset it.");

    private static string? ReadToken(Func<string, string?> value, string path)
    {
        foreach (var name in new[] { "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN" })
        {
            if (value(name) is { } text && Clean(text, name) is { } token)
            {
                return token;
            }
        }

        try
        {
            return File.Exists(path) ? Clean(File.ReadAllText(path), path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // As for the Hub's own client: what cannot be read is no token, and a public repository needs none.
            return null;
        }
    }

    private static string? Clean(string text, string origin)
    {
        var token = text.Trim();
        return token.Length == 0 ? null
            : token.All(c => c is > ' ' and < '\x7f') ? token
            : throw new HubException(
                HubError.Refused,
                $"{origin}: expected a token of printable ASCII without spaces, found other characters in it. "
                + "Copy it anew from the Hub's settings page, or unset it.");
    }
}
