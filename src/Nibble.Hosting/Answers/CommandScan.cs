namespace Nibble.Hosting.Answers;

/// <summary>One pass over a text with the shell's quoting rules: what is open, and where lines may break.</summary>
internal sealed class CommandScan
{
    private readonly string _text;

    // What is open, innermost last: ' " ` quotes, ( and { pairs, $ for ${, and i, d, c for if, a loop and case.
    private readonly Stack<char> _open = new();
    private readonly Queue<(string End, bool Indented)> _documents = new();
    private int _at;

    // Whether the next word is a command's first, and whether the shell waits for more after a pipe or a list operator.
    private bool _isCommandNext = true;
    private bool _isContinued;

    private CommandScan(string text) => _text = text;

    /// <summary>Whether everything that opens closes, and no line break ends a command early.</summary>
    /// <param name="text">Trimmed, not empty.</param>
    public static bool IsOneCommand(string text) => new CommandScan(text).Run();

    private bool Run()
    {
        while (_at < _text.Length)
        {
            var isQuoted = _open.TryPeek(out var innermost) && innermost is '\'' or '"' or '$' or 'a';
            if (!(isQuoted ? Quoted(innermost) : Plain()))
            {
                return false;
            }
        }

        return _open.Count == 0 && _documents.Count == 0 && !_isContinued;
    }

    // Inside quotes and ${…}: only their end, escapes and, where the shell looks for them, substitutions count.
    private bool Quoted(char kind)
    {
        var c = _text[_at];
        if (c == '\\' && kind != '\'')
        {
            _at += 2;
            return _at <= _text.Length;
        }

        _at++;
        if (c == (kind == '$' ? '}' : kind == 'a' ? '\'' : kind))
        {
            _open.Pop();
        }
        else if (kind is '"' or '$')
        {
            Substitution(c);
            if (kind == '$' && c is '"' or '\'')
            {
                _open.Push(c);
            }
        }

        return true;
    }

    private bool Plain()
    {
        var c = _text[_at];
        switch (c)
        {
            case '\\':
                _at += 2;
                _isCommandNext &= _at <= _text.Length && _text[_at - 1] == '\n';
                return _at <= _text.Length;
            case '\n':
                return LineBreak();
            case ' ' or '\t':
                _at++;
                return true;
            case '#':
                _at = _text.IndexOf('\n', _at) is var end and >= 0 ? end : _text.Length;
                return true;
            case ';' or '&' or '|':
                return Operator(c);
            case '(':
                _at++;
                _open.Push('(');
                return Command();
            case ')':
                _at++;
                // A case pattern ends with one that nothing opened.
                return (_open.TryPeek(out var innermost) && innermost == 'c' || Close('(')) && Command();
            case '`' when _open.Contains('`'):
                _at++;
                return Close('`') && Argument();
            case '<' when IsDocument():
                return Document();
            case '<' or '>':
                _at++;
                return true;
            default:
                return Word();
        }
    }

    private bool Command() => (_isCommandNext = true) && !(_isContinued = false);

    private bool Argument()
    {
        _isCommandNext = false;
        _isContinued = false;
        return true;
    }

    private bool Close(char opened)
    {
        if (!_open.TryPeek(out var innermost) || innermost != opened)
        {
            return false;
        }

        _open.Pop();
        return true;
    }

    private bool Operator(char c)
    {
        var isList = _at + 1 < _text.Length && _text[_at + 1] == c && c != ';';
        _at += isList ? 2 : 1;
        _isCommandNext = true;
        _isContinued = isList || c == '|';
        return true;
    }

    private bool LineBreak()
    {
        _at++;
        while (_documents.TryDequeue(out var document))
        {
            if (!SkipTo(document.End, document.Indented))
            {
                return false;
            }

            // What follows a document at the end of the text is nothing.
            if (_at >= _text.Length)
            {
                return true;
            }
        }

        _isCommandNext = true;
        return _isContinued || _open.Count > 0;
    }

    private bool SkipTo(string end, bool indented)
    {
        while (_at < _text.Length)
        {
            var next = _text.IndexOf('\n', _at) is var found and >= 0 ? found : _text.Length;
            var line = _text.AsSpan(_at, next - _at);
            _at = Math.Min(next + 1, _text.Length);
            if ((indented ? line.TrimStart('\t') : line).SequenceEqual(end))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsDocument() => string.CompareOrdinal(_text, _at, "<<", 0, 2) == 0
        && string.CompareOrdinal(_text, _at, "<<<", 0, 3) != 0
        && !_text[..(_at + 2)].EndsWith("<<<", StringComparison.Ordinal);

    private bool Document()
    {
        _at += 2;
        var indented = _at < _text.Length && _text[_at] == '-';
        _at += indented ? 1 : 0;
        while (_at < _text.Length && _text[_at] is ' ' or '\t')
        {
            _at++;
        }

        var from = _at;
        while (_at < _text.Length && (char.IsLetterOrDigit(_text[_at]) || _text[_at] is '_' or '\'' or '"' or '\\'))
        {
            _at++;
        }

        _documents.Enqueue((_text[from.._at].Trim('\'', '"', '\\'), indented));
        return _at > from;
    }

    private bool Word()
    {
        var from = _at;
        while (_at < _text.Length && _open.Count is var depth && !IsWordEnd(_text[_at]))
        {
            var c = _text[_at];
            if (c is '\'' or '"' || (c == '$' && _at + 1 < _text.Length && _text[_at + 1] is '\'' or '"'))
            {
                var isDollar = c == '$';
                _at += isDollar ? 2 : 1;
                _open.Push(isDollar && _text[_at - 1] == '\'' ? 'a' : _text[_at - 1]);
            }
            else
            {
                _at++;
                Substitution(c);
            }

            if (_open.Count > depth)
            {
                if (_open.Peek() is not ('(' or '`'))
                {
                    Argument();
                }

                return true;
            }
        }

        return !_isCommandNext ? Argument() : Reserved(_text.AsSpan(from, _at - from));
    }

    private bool IsWordEnd(char c) => c is ' ' or '\t' or '\n' or ';' or '&' or '|' or '(' or ')' or '<' or '>' or '\\'
        || (c == '`' && _open.Contains('`'));

    // $( and ` begin a command of their own, ${ an expansion. The character is behind.
    private void Substitution(char c)
    {
        var opened = c == '`' ? '`'
            : c != '$' || _at >= _text.Length ? default
            : _text[_at] == '(' ? '(' : _text[_at] == '{' ? '$' : default;
        if (opened == default)
        {
            return;
        }

        if (opened == '`' && _open.Contains('`'))
        {
            Close('`');
            return;
        }

        _at += opened == '`' ? 0 : 1;
        _open.Push(opened);
        _isCommandNext = opened != '$';
    }

    private bool Reserved(ReadOnlySpan<char> word)
    {
        _isContinued = false;
        switch (word)
        {
            case "if":
                _open.Push('i');
                return true;
            case "while" or "until":
                _open.Push('d');
                return true;
            case "for" or "select":
                _open.Push('d');
                return Argument();
            case "case":
                _open.Push('c');
                return Argument();
            case "{":
                _open.Push('{');
                return true;
            case "then" or "elif" or "else":
                return _open.TryPeek(out var branch) && branch == 'i';
            case "do":
                return _open.TryPeek(out var loop) && loop == 'd';
            case "!" or "time":
                return true;
            case "fi":
                return Close('i') && Argument();
            case "done":
                return Close('d') && Argument();
            case "esac":
                return Close('c') && Argument();
            case "}":
                return Close('{') && Argument();
            default:
                return IsAssignment(word) || Argument();
        }
    }

    // After an assignment the command's first word is still to come.
    private static bool IsAssignment(ReadOnlySpan<char> word) =>
        word.IndexOf('=') is > 0 and var equals && !word[..equals].ContainsAnyExcept(NameCharacters);

    private static readonly System.Buffers.SearchValues<char> NameCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+");
}
