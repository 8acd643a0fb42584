using System.Globalization;

namespace Nibble.Data.Tokenizers;

/// <summary>The pre-tokenising expressions of the byte-level families.</summary>
internal enum SplitPattern
{
    /// <summary>GPT-2: an optional leading space, words, numbers, other; contractions in lower case.</summary>
    Gpt2,

    /// <summary>Qwen2, Qwen2.5, Qwen3: any leading separator before a word, one digit at a time.</summary>
    Qwen2,

    /// <summary>Llama 3: as Qwen2 with up to three digits.</summary>
    Llama3,
}

/// <summary>
/// Cuts text into pre-tokens by code point. Written out by hand because a .NET expression tests UTF-16 units, so
/// letters
/// and digits outside the basic plane would be taken for punctuation.
/// </summary>
internal static class PieceSplitter
{
    /// <summary>The expression of <see cref="SplitPattern.Qwen2"/> as it stands in <c>tokenizer.json</c>.</summary>
    public const string Qwen2Expression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        + @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>The expression of <see cref="SplitPattern.Llama3"/>.</summary>
    public const string Llama3Expression =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
        + @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <summary>The expression of <see cref="SplitPattern.Gpt2"/>.</summary>
    public const string Gpt2Expression =
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private const byte Other = 0;
    private const byte Letter = 1;
    private const byte Number = 2;
    private const byte Space = 3;
    private const byte NewLine = 4;

    private static readonly byte[] BasicPlane = Classify();

    /// <summary>End of the pre-token that starts at <paramref name="start"/>.</summary>
    /// <param name="pattern">Family.</param>
    /// <param name="text">A section between added tokens; its end counts as the end of the text.</param>
    /// <param name="start">Less than the length.</param>
    public static int End(SplitPattern pattern, ReadOnlySpan<char> text, int start) => pattern == SplitPattern.Gpt2
        ? EndGpt2(text, start)
        : EndQwen(text, start, pattern == SplitPattern.Llama3 ? 3 : 1);

    /// <summary>Whether the code point at <paramref name="at"/> is in a number category (Nd, Nl, No).</summary>
    /// <param name="text">Text.</param>
    /// <param name="at">Index.</param>
    /// <param name="length">UTF-16 units of the code point.</param>
    public static bool IsNumber(ReadOnlySpan<char> text, int at, out int length) =>
        Class(text, at, out length) == Number;

    private static int EndQwen(ReadOnlySpan<char> text, int start, int digits)
    {
        var kind = Class(text, start, out var length);
        var next = start + length;
        switch (kind)
        {
            case Letter:
                return Run(text, next, Letter);
            case Number:
                while (--digits > 0 && next < text.Length && Class(text, next, out length) == Number)
                {
                    next += length;
                }

                return next;
            case Space or NewLine:
                if (next < text.Length)
                {
                    var follower = Class(text, next, out length);
                    if (kind == Space && follower == Letter)
                    {
                        return Run(text, next + length, Letter);
                    }

                    if (follower == Other && text[start] == ' ')
                    {
                        return NewLines(text, Run(text, next + length, Other));
                    }
                }

                return EndSpaces(text, start, breakAfterNewLines: true);
            default:
                if (text[start] == '\'' && Contraction(text, start, ignoreCase: true) is var end and > 0)
                {
                    return end;
                }

                if (next < text.Length && Class(text, next, out length) == Letter)
                {
                    return Run(text, next + length, Letter);
                }

                return NewLines(text, Run(text, next, Other));
        }
    }

    private static int EndGpt2(ReadOnlySpan<char> text, int start)
    {
        if (text[start] == '\'' && Contraction(text, start, ignoreCase: false) is var end and > 0)
        {
            return end;
        }

        var kind = Class(text, start, out var length);
        var next = start + length;
        if (text[start] == ' ' && next < text.Length)
        {
            var follower = Class(text, next, out length);
            if (follower < Space)
            {
                return Run(text, next + length, follower);
            }
        }

        return kind < Space ? Run(text, next, kind) : EndSpaces(text, start, breakAfterNewLines: false);
    }

    /// <summary>White space: up to the last line break of the run, or all but the last character before a
    /// word.</summary>
    private static int EndSpaces(ReadOnlySpan<char> text, int start, bool breakAfterNewLines)
    {
        var end = start;
        var lastBreak = -1;
        while (end < text.Length)
        {
            var kind = BasicPlane[text[end]];
            if (kind < Space)
            {
                break;
            }

            if (kind == NewLine)
            {
                lastBreak = end;
            }

            end++;
        }

        if (breakAfterNewLines && lastBreak >= 0)
        {
            return lastBreak + 1;
        }

        return end == text.Length || end - start == 1 ? end : end - 1;
    }

    private static int Run(ReadOnlySpan<char> text, int at, byte kind)
    {
        while (at < text.Length && Class(text, at, out var length) == kind)
        {
            at += length;
        }

        return at;
    }

    private static int NewLines(ReadOnlySpan<char> text, int at)
    {
        while (at < text.Length && text[at] is '\r' or '\n')
        {
            at++;
        }

        return at;
    }

    private static int Contraction(ReadOnlySpan<char> text, int start, bool ignoreCase)
    {
        var first = start + 1 < text.Length ? Fold(text[start + 1], ignoreCase) : '\0';
        if (first is 's' or 't' or 'm' or 'd')
        {
            return start + 2;
        }

        var second = start + 2 < text.Length ? Fold(text[start + 2], ignoreCase) : '\0';
        return (first, second) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? start + 3 : 0;
    }

    private static char Fold(char c, bool ignoreCase)
    {
        if (!ignoreCase)
        {
            return c;
        }

        // The long s folds onto s in Unicode's simple case folding, which the reference engine follows.
        return c == '\u017f' ? 's' : char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c;
    }

    private static byte Class(ReadOnlySpan<char> text, int at, out int length)
    {
        var c = text[at];
        length = 1;
        if (!char.IsHighSurrogate(c) || at + 1 >= text.Length || !char.IsLowSurrogate(text[at + 1]))
        {
            return BasicPlane[c];
        }

        length = 2;
        return Class(CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(c, text[at + 1])));
    }

    private static byte Class(UnicodeCategory category) => category switch
    {
        <= UnicodeCategory.OtherLetter => Letter,
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Number,
        _ => Other,
    };

    private static byte[] Classify()
    {
        var classes = new byte[0x10000];
        for (var c = 0; c < classes.Length; c++)
        {
            classes[c] = c is '\r' or '\n' ? NewLine
                : char.IsWhiteSpace((char)c) ? Space
                : Class(CharUnicodeInfo.GetUnicodeCategory((char)c));
        }

        return classes;
    }
}
