namespace Nibble.Config;

/// <summary>A model or a tokenizer: the name that the config gives it, and the folder that holds its files.</summary>
public sealed record ModelSource
{
    /// <summary>Names a source; its files are taken to be in the folder of that name until the Hub's cache has
    /// them.</summary>
    /// <param name="name">Folder, or name on the Hub (<c>org/name</c>).</param>
    /// <param name="revision">Branch, tag or commit on the Hub, or null for the default branch.</param>
    public ModelSource(string name, string? revision = null) => (Name, Revision, Folder) = (name, revision, name);

    /// <summary>As the config names it: a folder, or a name on the Hub. This is what adapters and cards name.</summary>
    public string Name { get; init; }

    /// <summary>Branch, tag or commit as the config gives it, or null.</summary>
    public string? Revision { get; init; }

    /// <summary>Folder that holds the files: the name itself, or a snapshot in the Hub's cache. This is what is
    /// read.</summary>
    public string Folder { get; init; }

    /// <summary>Commit on the Hub that the files are of, or null for a folder of the user's own.</summary>
    public string? Commit { get; init; }

    /// <summary>Bytes of weights that the Hub has and the cache has not, 0 when their number is not known; null when
    /// the weights are in <see cref="Folder"/>.</summary>
    public long? MissingWeightBytes { get; init; }

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
