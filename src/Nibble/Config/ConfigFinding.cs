using System.Text;

namespace Nibble.Config;

/// <summary>
/// One thing wrong, or worth knowing, about a configuration: where it stands, and what to write instead.
/// </summary>
public sealed record ConfigFinding
{
    /// <summary>Name of the YAML file as it was given.</summary>
    public required string File { get; init; }

    /// <summary>Line from 1, or 0 when the finding belongs to a flag or to the file as a whole.</summary>
    public int Line { get; init; }

    /// <summary>Column from 1, or 0 when there is no line.</summary>
    public int Column { get; init; }

    /// <summary>Flag without its dashes when the value came from the command line, else null.</summary>
    public string? Flag { get; init; }

    /// <summary>Dotted key, e.g. <c>datasets.0.path</c>, or null when the file itself is at fault.</summary>
    public string? Key { get; init; }

    /// <summary>What is wrong and what to do, as a sentence.</summary>
    public required string Problem { get; init; }

    /// <summary>What the key takes, or null.</summary>
    public string? Expected { get; init; }

    /// <summary>What was there, or null. Never the value of an unknown key, which may be a secret.</summary>
    public string? Found { get; init; }

    /// <summary>Every value the key takes; empty when it is not one of a list.</summary>
    public IReadOnlyList<string> Allowed { get; init; } = [];

    /// <summary>Known key or value nearest to what was written, or null.</summary>
    public string? Nearest { get; init; }

    /// <summary>One line: place, key, problem, expected, found, allowed values, nearest name.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Flag is not null)
        {
            text.Append("flag --").Append(Flag);
        }
        else
        {
            text.Append(File);
            if (Line > 0)
            {
                text.Append(':').Append(Line).Append(':').Append(Column);
            }
        }

        text.Append(": ");
        if (Key is not null && Key != Flag)
        {
            text.Append(Key).Append(": ");
        }

        text.Append(Problem);
        if (Expected is not null)
        {
            text.Append(" Expected ").Append(Expected);
            text.Append(Found is null ? "." : ", found ").Append(Found is null ? "" : Found + ".");
        }
        else if (Found is not null)
        {
            text.Append(" Found ").Append(Found).Append('.');
        }

        if (Allowed.Count > 0)
        {
            text.Append(" Allowed: ").AppendJoin(", ", Allowed).Append('.');
        }

        if (Nearest is not null)
        {
            text.Append(" Did you mean '").Append(Nearest).Append("'?");
        }

        return text.ToString();
    }
}
