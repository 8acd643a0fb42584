using System.Buffers;
using System.Text.RegularExpressions;

namespace Nibble.Hosting.Answers;

/// <summary>
/// Whether a text is a shell command and nothing else. Bash's grammar is not rewritten here: the check is conservative,
/// made so that what a person would not paste into a terminal fails, and it says nothing about what the command does.
/// </summary>
public static partial class CommandText
{
    // Words that open an answer in prose and are no program's name.
    private static readonly HashSet<string> Prose = new(StringComparer.OrdinalIgnoreCase)
    {
        "a", "an", "and", "answer", "bash", "because", "but", "certainly", "command", "copy", "explanation", "first",
        "for", "from", "hello", "here", "here's", "hi", "how", "i", "if", "in", "it", "it's", "just", "list", "next",
        "no", "note", "of", "ok", "okay", "on", "one", "or", "output", "please", "run", "sorry", "sure", "that", "the",
        "then", "there", "this", "to", "try", "use", "using", "we", "what", "will", "with", "you", "your",
    };

    // Of the words above, those that also begin commands; what follows decides.
    private static readonly HashSet<string> ProseOrProgram =
        new(StringComparer.Ordinal) { "bash", "command", "for", "if" };

    private static readonly HashSet<string> Roles =
        new(StringComparer.Ordinal) { "user", "assistant", "system", "tool" };

    private static readonly SearchValues<string> Remnants =
        SearchValues.Create(
            ["```", "~~~", "<|", "|>", "[INST]", "[/INST]", "<s>", "</s>", "\uFFFD"], StringComparison.Ordinal);

    /// <summary>
    /// Whether a text is a command and nothing else. All of these hold:
    /// <list type="number">
    /// <item>it is not empty and has no control characters but tab and line feed;</item>
    /// <item>no code fence, no pair of backquotes around the whole, no remnant of a chat template (<c>&lt;|</c>,
    /// <c>[INST]</c>, a role's name alone on a line) and no broken character;</item>
    /// <item>quotes, backquotes and substitutions are closed, parentheses and braces pair (the <c>)</c> of a
    /// case pattern aside), and <c>if</c>, <c>for</c>, <c>while</c>, <c>until</c>, <c>case</c> meet their
    /// <c>fi</c>, <c>done</c>, <c>esac</c>;</item>
    /// <item>it is one line, or every line break lies where the shell goes on reading the same command: in quotes,
    /// after a backslash or after <c>|</c>, <c>&amp;&amp;</c>, <c>||</c>, inside parentheses, braces or a compound
    /// command, or in a here-document. Two commands on two lines are a script, a command with a sentence below it
    /// is not an answer: both fail;</item>
    /// <item>it begins with something that can be a program: after assignments, the first word is a path, a name or an
    /// expansion, and not a capitalised word, a word with sentence punctuation or an
    /// English word that opens answers;</item>
    /// <item>it does not end like a sentence: a letter and then a full stop, a colon or an exclamation or question
    /// mark, after four or more plain words.</item>
    /// </list>
    /// </summary>
    /// <param name="text">An answer; surrounding white space does not count.</param>
    public static bool IsCommand(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        text = text.Trim();
        return text.Length > 0
            && !HasControls(text)
            && !text.AsSpan().ContainsAny(Remnants)
            && !(text.Length > 1 && text[0] == '`' && text[^1] == '`')
            && !text.Split('\n').Any(line => Roles.Contains(line.Trim()))
            && BeginsLikeACommand(text)
            && !Sentence().IsMatch(text)
            && CommandScan.IsOneCommand(text);
    }

    /// <summary>
    /// The program that a command runs: its first word after assignments (<c>LC_ALL=C</c>) and <c>sudo</c>, as it
    /// is written; null when there is none.
    /// </summary>
    /// <param name="text">A command, or any text.</param>
    public static string? Program(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (var word in text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
        {
            if (word != "sudo" && !Assignment().IsMatch(word))
            {
                return word;
            }
        }

        return null;
    }

    private static bool HasControls(string text) => text.Any(c => char.IsControl(c) && c is not ('\n' or '\t'));

    private static bool BeginsLikeACommand(string text)
    {
        var word = Program(text);
        if (word is null)
        {
            // Assignments alone are a command; sudo alone is not.
            return Assignment().IsMatch(text);
        }

        if (Prose.Contains(word) && !(ProseOrProgram.Contains(word) && !SentenceStart().IsMatch(text)))
        {
            return false;
        }

        return FirstWord().IsMatch(word) && !Capitalised().IsMatch(word);
    }

    [GeneratedRegex(@"^[A-Za-z_]\w*=")]
    private static partial Regex Assignment();

    // A name or path; an expansion, a quoted word or a group; or what tests and compounds begin with.
    [GeneratedRegex(@"^(?:[\w./~+:-]*[\w/~+-]|[.:]|[$(""'{!\[<>\\].*)(?:[;&|)].*)?$", RegexOptions.Singleline)]
    private static partial Regex FirstWord();

    // Rscript and Xvfb are the programs of that look that are met in practice.
    [GeneratedRegex(@"^(?!Rscript$|Xvfb$|Xorg$)[A-Z][a-z']+$")]
    private static partial Regex Capitalised();

    // "for the list …", "if you …", "bash command: …": prose that begins with a word of the shell.
    [GeneratedRegex(
        @"^(?:for|if|bash|command)\s+(?:the|a|an|you|it|this|that|to|is|all|each|command|script|example)\b(?!\s+in\s)",
        RegexOptions.IgnoreCase)]
    private static partial Regex SentenceStart();

    [GeneratedRegex(@"^[\w,'-]+(?:\s+[\w,'-]+){3,}[.:!?]$")]
    private static partial Regex Sentence();
}
