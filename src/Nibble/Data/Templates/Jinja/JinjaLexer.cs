using System.Globalization;
using System.Text;

namespace Nibble.Data.Templates.Jinja;

/// <summary>Kinds of pieces a template is cut into.</summary>
internal enum JinjaKind
{
    /// <summary>Text between tags, white space already controlled.</summary>
    Text,

    /// <summary>Start of an expression to print.</summary>
    OutputStart,

    /// <summary>End of an expression to print.</summary>
    OutputEnd,

    /// <summary>Start of a statement.</summary>
    BlockStart,

    /// <summary>End of a statement.</summary>
    BlockEnd,

    /// <summary>Identifier or keyword.</summary>
    Name,

    /// <summary>String literal, unescaped.</summary>
    String,

    /// <summary>Whole-number literal.</summary>
    Integer,

    /// <summary>Floating-point literal.</summary>
    Float,

    /// <summary>Punctuation.</summary>
    Operator,

    /// <summary>End of the template.</summary>
    End,
}

/// <summary>One piece.</summary>
/// <param name="Kind">Kind.</param>
/// <param name="Text">Text or spelling.</param>
/// <param name="Line">Line in the template, from 1.</param>
internal readonly record struct JinjaToken(JinjaKind Kind, string Text, int Line);

/// <summary>
/// Cuts a template into pieces with the settings of chat templates: a line break after a statement goes, white space
/// before one goes, <c>-</c> trims, one final line break goes. Source: the Jinja documentation, "White space control".
/// </summary>
internal sealed class JinjaLexer
{
    private static readonly string[] Operators =
    [
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")",
        "[", "]", "{", "}", ",", ".", ":", "|",
    ];

    private readonly string _source;
    private readonly List<JinjaToken> _tokens = [];
    private int _at;
    private int _line = 1;

    private JinjaLexer(string source)
    {
        source = source.Replace("\r\n", "\n", StringComparison.Ordinal);
        _source = source.EndsWith('\n') ? source[..^1] : source;
    }

    public static List<JinjaToken> Cut(string source)
    {
        var lexer = new JinjaLexer(source);
        lexer.Run();
        return lexer._tokens;
    }

    private void Run()
    {
        var trimStart = false;
        var afterBlock = false;
        while (true)
        {
            var tag = NextTag(_at);
            var text = _source[_at..(tag < 0 ? _source.Length : tag)];
            var kept = text;
            if (trimStart)
            {
                kept = kept.TrimStart();
            }
            else if (afterBlock && kept.StartsWith('\n'))
            {
                kept = kept[1..];
            }

            var mark = tag >= 0 && tag + 2 < _source.Length ? _source[tag + 2] : '\0';
            if (mark == '-')
            {
                kept = kept.TrimEnd();
            }
            else if (tag >= 0 && _source[tag + 1] != '{' && mark != '+')
            {
                kept = StripIndent(kept, startsLine: tag - text.Length == 0 || (afterBlock && text.StartsWith('\n')),
                    text);
            }

            if (kept.Length > 0)
            {
                _tokens.Add(new JinjaToken(JinjaKind.Text, kept, _line));
            }

            _line += text.AsSpan().Count('\n');
            if (tag < 0)
            {
                _tokens.Add(new JinjaToken(JinjaKind.End, "the end of the template", _line));
                return;
            }

            _at = tag + 2 + (mark is '-' or '+' ? 1 : 0);
            (trimStart, afterBlock) = _source[tag + 1] switch
            {
                '#' => Comment(),
                '{' => Expression(JinjaKind.OutputStart, JinjaKind.OutputEnd, "}}"),
                _ => Statement(),
            };
        }
    }

    /// <summary>Drops blanks between the last line break (or the start of the template) and a statement.</summary>
    private static string StripIndent(string kept, bool startsLine, string original)
    {
        var end = kept.AsSpan().TrimEnd(" \t");
        return end.EndsWith("\n") || (end.IsEmpty && (startsLine || original.AsSpan().TrimEnd(" \t").EndsWith("\n")))
            ? end.ToString()
            : kept;
    }

    private int NextTag(int from)
    {
        for (var at = from; at + 1 < _source.Length; at++)
        {
            if (_source[at] == '{' && _source[at + 1] is '{' or '%' or '#')
            {
                return at;
            }
        }

        return -1;
    }

    private (bool Trim, bool AfterBlock) Comment()
    {
        var end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0)
        {
            throw Error("a comment never ends");
        }

        var trim = _source[end - 1] == '-';
        _line += _source.AsSpan(_at, end - _at).Count('\n');
        _at = end + 2;
        return (trim, true);
    }

    private (bool Trim, bool AfterBlock) Statement()
    {
        var first = _tokens.Count;
        var result = Expression(JinjaKind.BlockStart, JinjaKind.BlockEnd, "%}");
        if (_tokens.Count - first != 3 || _tokens[first + 1].Text != "raw")
        {
            return result;
        }

        // Raw text: up to the matching endraw nothing is a tag.
        _tokens.RemoveRange(first, 3);
        for (var at = _at; (at = _source.IndexOf("{%", at, StringComparison.Ordinal)) >= 0; at += 2)
        {
            var inner = _source.AsSpan(at + 2).TrimStart("-+ \t\n");
            var close = inner.StartsWith("endraw") ? inner.IndexOf("%}") : -1;
            if (close < 0)
            {
                continue;
            }

            var text = _source[_at..at];
            text = result.Trim ? text.TrimStart() : text.StartsWith('\n') ? text[1..] : text;
            text = _source[at + 2] == '-' ? text.TrimEnd() : text;
            if (text.Length > 0)
            {
                _tokens.Add(new JinjaToken(JinjaKind.Text, text, _line));
            }

            _line += _source.AsSpan(_at, at - _at).Count('\n');
            _at = _source.Length - inner.Length + close + 2;
            return (inner[close - 1] == '-', true);
        }

        throw Error("{% raw %} never ends");
    }

    private (bool Trim, bool AfterBlock) Expression(JinjaKind start, JinjaKind end, string close)
    {
        _tokens.Add(new JinjaToken(start, start.ToString(), _line));
        var depth = 0;
        while (true)
        {
            while (_at < _source.Length && char.IsWhiteSpace(_source[_at]))
            {
                _line += _source[_at++] == '\n' ? 1 : 0;
            }

            if (_at >= _source.Length)
            {
                throw Error($"a tag never ends; '{close}' is missing");
            }

            var rest = _source.AsSpan(_at);
            if (depth == 0 && (rest.StartsWith(close) || (rest[0] is '-' or '+' && rest[1..].StartsWith(close))))
            {
                var trim = rest[0] == '-';
                var keep = rest[0] == '+';
                _at += close.Length + (trim || keep ? 1 : 0);
                _tokens.Add(new JinjaToken(end, close, _line));
                return (trim, end == JinjaKind.BlockEnd && !keep);
            }

            depth += Token(rest);
        }
    }

    private int Token(ReadOnlySpan<char> rest)
    {
        var c = rest[0];
        if (c is '\'' or '"')
        {
            StringLiteral(c);
            return 0;
        }

        var length = 0;
        if (char.IsLetter(c) || c == '_')
        {
            while (length < rest.Length && (char.IsLetterOrDigit(rest[length]) || rest[length] == '_'))
            {
                length++;
            }

            return Add(JinjaKind.Name, length);
        }

        if (char.IsAsciiDigit(c))
        {
            while (length < rest.Length && (char.IsAsciiDigit(rest[length]) || rest[length] == '_'))
            {
                length++;
            }

            var isFloat = length + 1 < rest.Length && rest[length] == '.' && char.IsAsciiDigit(rest[length + 1]);
            length += isFloat ? 1 : 0;
            while (isFloat && length < rest.Length && char.IsAsciiDigit(rest[length]))
            {
                length++;
            }

            return Add(isFloat ? JinjaKind.Float : JinjaKind.Integer, length);
        }

        foreach (var spelling in Operators)
        {
            if (rest.StartsWith(spelling))
            {
                Add(JinjaKind.Operator, spelling.Length);
                return c is '(' or '[' or '{' ? 1 : c is ')' or ']' or '}' ? -1 : 0;
            }
        }

        throw Error($"'{c}' is not part of an expression");
    }

    private int Add(JinjaKind kind, int length)
    {
        _tokens.Add(new JinjaToken(kind, _source.Substring(_at, length), _line));
        _at += length;
        return 0;
    }

    private void StringLiteral(char quote)
    {
        var (text, line) = (new StringBuilder(), _line);
        for (_at++; ; _at++)
        {
            if (_at >= _source.Length)
            {
                throw Error("a string never ends");
            }

            var c = _source[_at];
            if (c == quote)
            {
                _at++;
                _tokens.Add(new JinjaToken(JinjaKind.String, text.ToString(), line));
                return;
            }

            _line += c == '\n' ? 1 : 0;
            if (c == '\\' && _at + 1 < _source.Length)
            {
                Escape(text);
            }
            else
            {
                text.Append(c);
            }
        }
    }

    private void Escape(StringBuilder text)
    {
        var c = _source[++_at];
        var digits = c switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0 && _at + digits < _source.Length
            && int.TryParse(_source.AsSpan(_at + 1, digits), NumberStyles.HexNumber, null, out var point)
            && Rune.IsValid(point))
        {
            text.Append(new Rune(point).ToString());
            _at += digits;
            return;
        }

        var plain = "ntrbfav0".IndexOf(c);
        if (plain >= 0)
        {
            text.Append("\n\t\r\b\f\a\v\0"[plain]);
        }
        else if (c is '\\' or '\'' or '"')
        {
            text.Append(c);
        }
        else if (c != '\n')
        {
            text.Append('\\').Append(c);
        }
    }

    private ChatTemplateException Error(string problem) => new($"chat template, line {_line}: {problem}.");
}
