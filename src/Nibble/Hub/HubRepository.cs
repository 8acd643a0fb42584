using System.Text.RegularExpressions;

namespace Nibble.Hub;

/// <summary>What a repository holds.</summary>
public enum HubKind
{
    /// <summary>A model.</summary>
    Model,

    /// <summary>Rows.</summary>
    Dataset,
}

/// <summary>A repository of the Hub at a revision. Only names that can name nothing else than a folder inside the
/// cache exist.</summary>
public sealed partial record HubRepository
{
    private const int LongestName = 96;
    private const string DefaultRevision = "main";

    private HubRepository(HubKind kind, string name, string revision) =>
        (Kind, Name, Revision) = (kind, name, revision);

    /// <summary>What it holds.</summary>
    public HubKind Kind { get; }

    /// <summary><c>org/name</c>.</summary>
    public string Name { get; }

    /// <summary>Branch, tag or commit.</summary>
    public string Revision { get; }

    /// <summary>Whether <see cref="Revision"/> is a whole commit hash, which never moves.</summary>
    public bool IsPinned => IsCommit(Revision);

    /// <summary>The part of addresses before the name: empty, or <c>datasets/</c>.</summary>
    internal string Prefix => Kind == HubKind.Model ? "" : "datasets/";

    /// <summary>The kind's name in the interface and in the cache.</summary>
    internal string Plural => Kind == HubKind.Model ? "models" : "datasets";

    /// <summary>The kind in words.</summary>
    internal string Noun => Kind == HubKind.Model ? "model" : "data set";

    /// <summary>Whether a name could be one of the Hub: <c>org/name</c>, each of letters, digits, <c>-</c>,
    /// <c>_</c> and <c>.</c>.</summary>
    /// <param name="name">What the config names.</param>
    public static bool IsName(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return name.Length <= LongestName && NamePattern().IsMatch(name)
            && !name.Contains("--", StringComparison.Ordinal) && !name.Contains("..", StringComparison.Ordinal)
            && !name.EndsWith(".git", StringComparison.Ordinal)
            && name.Split('/').All(part => part[^1] is not ('.' or '-'));
    }

    /// <summary>Names a repository.</summary>
    /// <param name="kind">What it holds.</param>
    /// <param name="name"><c>org/name</c>.</param>
    /// <param name="revision">Branch, tag or commit; null for <c>main</c>.</param>
    /// <exception cref="HubException">The name or the revision cannot be one.</exception>
    public static HubRepository Of(HubKind kind, string name, string? revision = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!IsName(name))
        {
            throw new HubException(
                HubError.InvalidName,
                $"'{HubPath.Shown(name)}': expected a name on the Hub (org/name of letters, digits, '-', '_' and "
                + $"'.', at most {LongestName} characters), found something else.");
        }

        revision ??= DefaultRevision;
        if (revision.Length > 200 || HubPath.Problem(revision) is not null || revision.Any(c => c is ' ' or '~' or '^'))
        {
            throw new HubException(
                HubError.InvalidName,
                $"{name}: expected a branch, a tag or a commit hash as revision, "
                + $"found '{HubPath.Shown(revision)}'.");
        }

        return new HubRepository(kind, name, revision);
    }

    /// <summary>Name and revision, for messages.</summary>
    public override string ToString() => Revision == DefaultRevision ? Name : $"{Name} at {Revision}";

    /// <summary>Whether text is a whole commit hash.</summary>
    internal static bool IsCommit(string text) => text.Length == 40 && text.All(char.IsAsciiHexDigitLower);

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*\z")]
    private static partial Regex NamePattern();
}
