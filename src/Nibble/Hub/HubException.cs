namespace Nibble.Hub;

/// <summary>Why files could not be had from the Hub.</summary>
public enum HubError
{
    /// <summary>A name, a revision or a file's path is not one that the Hub or the cache could have.</summary>
    InvalidName,

    /// <summary>No such repository, or it is private and the token does not open it.</summary>
    RepositoryNotFound,

    /// <summary>The repository has no such branch, tag or commit.</summary>
    RevisionNotFound,

    /// <summary>The repository has no such file.</summary>
    EntryNotFound,

    /// <summary>The repository's conditions have not been accepted, or no token says by whom.</summary>
    Gated,

    /// <summary>The token is missing, wrong, or not allowed to do this.</summary>
    Refused,

    /// <summary>The repository is there and holds nothing that can be used.</summary>
    Unsuitable,

    /// <summary>The cache lacks the files, and the network must not be used.</summary>
    Offline,

    /// <summary>Too many requests.</summary>
    RateLimited,

    /// <summary>No connection, or a broken one.</summary>
    Network,

    /// <summary>The Hub failed, or answered what its interface does not say.</summary>
    Server,

    /// <summary>A file's size or digest is not the one the repository names.</summary>
    Checksum,

    /// <summary>The cache cannot be written: no space, no permission.</summary>
    Storage,
}

/// <summary>Files could not be had from the Hub; the message says what was expected, what was found, where, and what
/// to do. It never holds a token.</summary>
public sealed class HubException : Exception
{
    /// <summary>Takes the whole message.</summary>
    /// <param name="error">Which kind of failure.</param>
    /// <param name="message">What was expected, what was found, where, and what to do.</param>
    /// <param name="inner">Cause, or null.</param>
    public HubException(HubError error, string message, Exception? inner = null)
        : base(message, inner) => Error = error;

    /// <summary>Which kind of failure.</summary>
    public HubError Error { get; }

    /// <summary>Whether what the user wrote is wrong; false when the network, the Hub or the disk failed.</summary>
    public bool IsMistake => Error <= HubError.Unsuitable;

    /// <summary>Whether the same request may succeed a moment later.</summary>
    internal bool IsTransient { get; init; }

    /// <summary>How long the server asks to wait, or null.</summary>
    internal TimeSpan? RetryAfter { get; init; }

    /// <summary>The same failure, described otherwise.</summary>
    /// <param name="message">The whole message.</param>
    internal HubException Retold(string message) => new(Error, message, this);
}
