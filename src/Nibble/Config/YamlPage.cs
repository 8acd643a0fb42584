using System.Globalization;
using System.Text;

namespace Nibble.Config;

/// <summary>YAML as it is printed: one key a line, each with where its value came from.</summary>
internal sealed class YamlPage(IReadOnlyDictionary<string, string>? sources)
{
    private const int MarkColumn = 60;

    private readonly StringBuilder text = new();
    private string prefix = "";
    private string indent = "";
    private bool dash;

    public void Text(string name, string? value) => Line(name, value is null ? null : Quoted(value));

    /// <summary>For a key that says nothing where it is absent.</summary>
    public void TextIfAny(string name, string? value)
    {
        if (value is not null)
        {
            Text(name, value);
        }
    }

    public void Flag(string name, bool value) => Line(name, value ? "true" : "false");

    /// <summary>Shortest digits that read back as the same number.</summary>
    public void Number(string name, double? value) =>
        Line(name, value?.ToString("R", CultureInfo.InvariantCulture).ToLowerInvariant());

    public void List(string name, IReadOnlyList<string> values) =>
        Line(name, values.Count == 0 ? null : "[" + string.Join(", ", values.Select(Quoted)) + "]");

    public void Interval(string strategy, string steps, Interval interval)
    {
        var counted = interval.Kind is IntervalKind.Steps or IntervalKind.Fraction;
        Line(strategy, interval.Kind == IntervalKind.Never ? "\"no\"" : counted ? "steps" : "epoch");
        if (counted)
        {
            Number(steps, interval.Value);
        }
    }

    public void Datasets(string name, IReadOnlyList<DatasetOptions> entries)
    {
        if (entries.Count == 0)
        {
            Line(name, null);
            return;
        }

        text.Append(name).Append(":\n");
        for (var i = 0; i < entries.Count; i++)
        {
            (prefix, indent, dash) = ($"{name}.{i}.", "    ", true);
            Entry(entries[i]);
        }

        (prefix, indent, dash) = ("", "", false);
    }

    public void Open(string name)
    {
        text.Append(indent).Append(name).Append(":\n");
        prefix += name + ".";
        indent += "  ";
    }

    public void Close()
    {
        prefix = prefix[..(prefix.TrimEnd('.').LastIndexOf('.') + 1)];
        indent = indent[2..];
    }

    public void Break() => text.Append('\n');

    public override string ToString() => text.ToString();

    private void Entry(DatasetOptions entry)
    {
        Text("path", entry.Path);
        TextIfAny("name", entry.Subset);
        TextIfAny("revision", entry.Commit ?? entry.Revision);
        Text("type", entry.Type);
        Text("ds_type", entry.FileFormat);
        List("data_files", entry.DataFiles);
        Text("split", entry.Split);
        if (entry.Type == "completion")
        {
            Text("field", entry.Field);
        }

        if (entry.Type != "chat_template")
        {
            return;
        }

        Text("field_messages", entry.FieldMessages);
        Open("message_property_mappings");
        foreach (var (name, property) in entry.MessageProperties)
        {
            Text(name, property);
        }

        Close();
        if (entry.Roles.Count > 0)
        {
            Open("roles");
            foreach (var (role, names) in entry.Roles)
            {
                List(Quoted(role), names);
            }

            Close();
        }

        List("roles_to_train", entry.RolesToTrain);
        Text("train_on_eos", entry.TrainOnEos);
        Text("message_field_training", entry.MessageFieldTraining);
        Text("chat_template", entry.ChatTemplate);
    }

    // A key without a value is a comment: it shows that the key exists and what its absence means.
    private void Line(string name, string? value)
    {
        var start = text.Length;
        if (value is null)
        {
            var note = prefix.Length == 0 ? KeyTable.Root.Find(name)?.DefaultNote : null;
            text.Append(indent).Append("# ").Append(name).Append(':');
            text.Append(note is null ? " not set\n" : $" not set ({note})\n");
            return;
        }

        text.Append(dash ? indent[..^2] + "- " : indent).Append(name).Append(": ").Append(value);
        dash = false;
        if (sources is not null)
        {
            text.Append(' ', Math.Max(2, MarkColumn - (text.Length - start)));
            text.Append("# ").Append(sources.GetValueOrDefault(prefix + name.Trim('"'), "default"));
        }

        text.Append('\n');
    }

    // Plain only where no reader, whatever its YAML version, can take it for anything but text.
    private static string Quoted(string value)
    {
        var plain = value.Length > 0 && char.IsAsciiLetter(value[0])
            && value.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '/' or '.')
            && value.ToUpperInvariant() is not ("TRUE" or "FALSE" or "YES" or "NO" or "ON" or "OFF" or "Y" or "N"
                or "NULL");
        if (plain)
        {
            return value;
        }

        var quoted = new StringBuilder("\"");
        foreach (var rune in value.EnumerateRunes())
        {
            quoted.Append(rune.Value switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\t' => "\\t",
                >= 0x20 and < 0x7f => rune.ToString(),
                _ when Rune.IsLetterOrDigit(rune) => rune.ToString(),
                < 0x10000 => $"\\u{rune.Value:X4}",
                _ => $"\\U{rune.Value:X8}",
            });
        }

        return quoted.Append('"').ToString();
    }
}
