namespace Nibble.Data.Overlap;

/// <summary>
/// Text as a run of comparable words: runs of letters and digits in lower case, and every other visible character as a
/// word of its own. White space, quotation marks and the punctuation of sentences (<c>' " ` . , ; : ! ?</c>) only
/// separate.
/// </summary>
internal static class OverlapWords
{
    private const ulong Offset = 14695981039346656037;
    private const ulong Prime = 1099511628211;

    /// <summary>Appends the 64-bit FNV-1a hash of every word of a text.</summary>
    /// <param name="text">Text.</param>
    /// <param name="words">Takes the hashes.</param>
    public static void Split(ReadOnlySpan<char> text, List<ulong> words)
    {
        for (var at = 0; at < text.Length;)
        {
            var value = text[at];
            if (!char.IsLetterOrDigit(value))
            {
                at++;
                if (value > ' ' && !char.IsWhiteSpace(value) && !Separates(value))
                {
                    words.Add(Mix(Offset, value));
                }

                continue;
            }

            var hash = Offset;
            do
            {
                hash = Mix(hash, char.ToLowerInvariant(text[at++]));
            }
            while (at < text.Length && char.IsLetterOrDigit(text[at]));
            words.Add(hash);
        }
    }

    /// <summary>The hash of one to three words in their order.</summary>
    /// <param name="words">Hashes of the words.</param>
    public static ulong Shingle(ReadOnlySpan<ulong> words)
    {
        var hash = Offset + (ulong)words.Length;
        foreach (var word in words)
        {
            hash = (hash ^ word) * Prime;
            hash ^= hash >> 32;
        }

        return hash;
    }

    private static ulong Mix(ulong hash, char value) => (hash ^ value) * Prime;

    private static bool Separates(char value) => value is '\'' or '"' or '`' or '.' or ',' or ';' or ':' or '!' or '?'
        or '\u2018' or '\u2019' or '\u201C' or '\u201D';
}
