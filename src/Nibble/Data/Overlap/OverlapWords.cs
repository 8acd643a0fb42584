using System.Buffers;
using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Nibble.Data.Overlap;

/// <summary>
/// Text as a run of comparable words: runs of letters and digits in lower case, and every other visible character as a
/// word of its own. White space, quotation marks and the punctuation of sentences (<c>' " ` . , ; : ! ?</c>) only
/// separate.
/// </summary>
internal static class OverlapWords
{
    /// <summary>Appends a 64-bit hash of every word of a text.</summary>
    /// <param name="text">Text.</param>
    /// <param name="words">Takes the hashes.</param>
    public static void Split(ReadOnlySpan<char> text, List<ulong> words)
    {
        var buffer = ArrayPool<char>.Shared.Rent(text.Length);
        var lower = buffer.AsSpan(0, text.Length);
        text.ToLowerInvariant(lower);
        for (var at = 0; at < lower.Length;)
        {
            var first = at++;
            if (char.IsLetterOrDigit(lower[first]))
            {
                while (at < lower.Length && char.IsLetterOrDigit(lower[at]))
                {
                    at++;
                }
            }
            else if (lower[first] <= ' ' || char.IsWhiteSpace(lower[first]) || Separates(lower[first]))
            {
                continue;
            }

            words.Add(Hash<char>(lower[first..at]));
        }

        ArrayPool<char>.Shared.Return(buffer);
    }

    /// <summary>The hash of one to three words in their order.</summary>
    /// <param name="words">Hashes of the words.</param>
    public static ulong Shingle(ReadOnlySpan<ulong> words) => Hash(words);

    private static ulong Hash<T>(ReadOnlySpan<T> values)
        where T : unmanaged => XxHash3.HashToUInt64(MemoryMarshal.AsBytes(values));

    private static bool Separates(char value) => value is '\'' or '"' or '`' or '.' or ',' or ';' or ':' or '!' or '?'
        or '\u2018' or '\u2019' or '\u201C' or '\u201D';
}
