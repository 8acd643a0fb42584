using System.Buffers;
using System.Globalization;

namespace Nibble.Data.Tokenizers;

/// <summary>One entry of <c>added_tokens</c>.</summary>
/// <param name="Id">Token id, possibly beyond the model's vocabulary.</param>
/// <param name="Content">Its text.</param>
/// <param name="SingleWord">A match counts only between non-word characters.</param>
/// <param name="StripLeft">The match swallows white space before it.</param>
/// <param name="StripRight">The match swallows white space after it.</param>
/// <param name="Normalized">Searched after normalisation rather than in the raw text.</param>
/// <param name="Special">Left out when decoding for people.</param>
internal sealed record AddedToken(
    int Id, string Content, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized, bool Special);

/// <summary>
/// Finds added tokens, leftmost-longest. Source: <c>huggingface/tokenizers
/// tokenizers/src/tokenizer/added_vocabulary.rs</c>.
/// </summary>
internal sealed class AddedTokens
{
    private readonly SearchValues<char> _starts;
    private readonly Dictionary<char, AddedToken[]> _byStart;

    /// <summary>Takes the tokens of one search pass.</summary>
    /// <param name="tokens">Tokens with non-empty content, already normalised when the pass is.</param>
    public AddedTokens(IEnumerable<AddedToken> tokens)
    {
        _byStart = tokens.GroupBy(token => token.Content[0]).ToDictionary(
            group => group.Key, group => group.OrderByDescending(token => token.Content.Length).ToArray());
        _starts = SearchValues.Create([.. _byStart.Keys]);
    }

    /// <summary>The next match at or after <paramref name="from"/>.</summary>
    /// <param name="text">The whole section; neighbours of a match are looked at across
    /// <paramref name="from"/>.</param>
    /// <param name="from">Where to begin; moved behind the match.</param>
    /// <param name="lastEnd">End of the previous match, beyond which white space is not swallowed.</param>
    /// <param name="start">Start of the match with swallowed white space.</param>
    /// <param name="end">End of the match with swallowed white space.</param>
    public AddedToken? Next(ReadOnlySpan<char> text, ref int from, int lastEnd, out int start, out int end)
    {
        (start, end) = (text.Length, text.Length);
        while (from < text.Length)
        {
            var offset = text[from..].IndexOfAny(_starts);
            if (offset < 0)
            {
                break;
            }

            var at = from + offset;
            var token = Match(text[at..]);
            if (token is null)
            {
                from = at + 1;
                continue;
            }

            var stop = at + token.Content.Length;
            from = stop;
            // A match inside white space that the previous token swallowed is gone with it.
            if (at < lastEnd || (token.SingleWord && (EndsWord(text, at) || StartsWord(text, stop))))
            {
                continue;
            }

            start = at;
            while (token.StripLeft && start > lastEnd && char.IsWhiteSpace(text[start - 1]))
            {
                start--;
            }

            end = stop;
            while (token.StripRight && end < text.Length && char.IsWhiteSpace(text[end]))
            {
                end++;
            }

            return token;
        }

        from = text.Length;
        return null;
    }

    private AddedToken? Match(ReadOnlySpan<char> text)
    {
        foreach (var token in _byStart[text[0]])
        {
            if (text.StartsWith(token.Content))
            {
                return token;
            }
        }

        return null;
    }

    private static bool EndsWord(ReadOnlySpan<char> text, int at) =>
        at > 0 && IsWord(text, at >= 2 && char.IsLowSurrogate(text[at - 1]) ? at - 2 : at - 1);

    private static bool StartsWord(ReadOnlySpan<char> text, int at) => at < text.Length && IsWord(text, at);

    private static bool IsWord(ReadOnlySpan<char> text, int at)
    {
        var category = char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1])
            ? CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(text[at], text[at + 1]))
            : CharUnicodeInfo.GetUnicodeCategory(text[at]);
        return category is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation
            || text[at] is '\u200c' or '\u200d';
    }
}
