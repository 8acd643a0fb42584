namespace Nibble.Config;

/// <summary>
/// Checks a tree against the key table, one key at a time: names, types, allowed values, ranges, status.
/// </summary>
internal sealed class ConfigChecker(string file, bool lenient)
{
    public List<ConfigFinding> Errors { get; } = [];

    public List<ConfigFinding> Warnings { get; } = [];

    /// <summary>Every key given, in order; the effect is filled in when the run is resolved.</summary>
    public List<KeyReport> Reports { get; } = [];

    public ConfigSection CheckRoot(MappingNode root) => Check(root, KeyTable.Root, "");

    public ConfigFinding Finding(Origin at, string? key, string problem) => new()
    {
        File = file,
        Line = at.Line,
        Column = at.Column,
        Flag = at.Flag,
        Key = key,
        Problem = problem,
    };

    private ConfigSection Check(MappingNode mapping, KeyLevel level, string prefix)
    {
        var section = new ConfigSection(level, prefix, mapping.Origin);
        foreach (var entry in mapping.Entries)
        {
            var spec = level.Find(entry.Key);
            if (spec is null)
            {
                CheckUnknown(entry, level, prefix);
                continue;
            }

            // "key:" and "key: null" are the ways a template says "not set".
            if (entry.Value is ScalarNode scalar && ScalarReader.IsNull(scalar))
            {
                Reports.Add(new KeyReport(
                    prefix + spec.Name, "", entry.Origin.ToString(), KeyStatus.Honoured, "not set"));
                continue;
            }

            var key = CheckKey(entry, spec, prefix + spec.Name);
            if (!section.TryAdd(key))
            {
                var first = section.Find(spec.Name)!;
                Errors.Add(Finding(
                    entry.Origin,
                    prefix + entry.Key,
                    $"the key stands twice, first on {first.At} ('{entry.Key}' means '{spec.Name}'); keep one."));
            }
        }

        return section;
    }

    private void CheckUnknown(MappingEntry entry, KeyLevel level, string prefix)
    {
        var path = prefix + entry.Key;
        var secret = KeyTable.IsSecret(entry.Key);
        var nearest = secret ? null : NearestName.Find(entry.Key, level.Names);
        var finding = Finding(
            entry.Origin,
            path,
            OverrideLayer.UnknownProblem(entry.Key, prefix.TrimEnd('.'))) with
        { Nearest = nearest };
        var pass = lenient && !secret && entry.Origin.Flag is null;
        (pass ? Warnings : Errors).Add(finding);
        Reports.Add(new KeyReport(
            path,
            "",
            entry.Origin.ToString(),
            pass ? KeyStatus.Ignored : KeyStatus.Refused,
            pass ? "ignored: unknown key" : finding.Problem));
    }

    private GivenKey CheckKey(MappingEntry entry, KeySpec spec, string path)
    {
        var report = Reports.Count;
        Reports.Add(new KeyReport(path, entry.Value.Flat(), entry.Origin.ToString(), spec.Status, spec.Doc));
        var key = new GivenKey(spec, path, entry.Origin, entry.Value, Usable: false);
        if (spec.IsRefused)
        {
            if (IsOff(entry.Value, spec))
            {
                Reports[report] = Reports[report] with { Status = KeyStatus.Honoured, Effective = "off" };
                return key;
            }

            Errors.Add(Finding(entry.Origin, path, Refusal(spec)));
            return key;
        }

        return entry.Value switch
        {
            ScalarNode scalar => key with { Usable = CheckScalar(scalar, spec, path) },
            SequenceNode list => CheckList(list, key),
            MappingNode mapping => CheckMapping(mapping, key),
            _ => key,
        };
    }

    private static string Refusal(KeySpec spec) =>
        spec.Status == KeyStatus.Later ? $"not supported yet: {spec.Doc}." : $"refused: {spec.Doc}.";

    private static bool IsOff(ConfigNode value, KeySpec spec) => value switch
    {
        ScalarNode scalar => spec.Off.Contains(scalar.Text, StringComparer.OrdinalIgnoreCase)
            || ((spec.Kind & KeyKind.Boolean) != 0 && !spec.Off.Contains("true")
                && ScalarReader.TryBoolean(scalar, out var on) && !on),
        SequenceNode list => list.Items.Count == 0,
        MappingNode mapping => mapping.Entries.Count == 0,
        _ => false,
    };

    private GivenKey CheckList(SequenceNode list, GivenKey key)
    {
        var spec = key.Spec;
        if ((spec.Kind & KeyKind.EntryList) != 0 && spec.Children is not null)
        {
            var before = Errors.Count;
            var sections = new List<ConfigSection>();
            for (var i = 0; i < list.Items.Count; i++)
            {
                if (list.Items[i] is MappingNode mapping)
                {
                    sections.Add(Check(mapping, spec.Children, $"{key.Path}.{i}."));
                }
                else
                {
                    Mismatch(list.Items[i], $"{key.Path}.{i}", "a mapping with the keys of an entry");
                }
            }

            return key with { Usable = list.Items.Count > 0 || Errors.Count > before, Sections = sections };
        }

        if ((spec.Kind & KeyKind.TextList) == 0)
        {
            var anything = (spec.Kind & KeyKind.Anything) != 0;
            return key with { Usable = anything || !Mismatch(list, key.Path, spec.Expectation) };
        }

        var usable = true;
        for (var i = 0; i < list.Items.Count; i++)
        {
            usable &= list.Items[i] is ScalarNode item && !ScalarReader.IsNull(item)
                ? CheckScalar(item, spec, $"{key.Path}.{i}", KeyKind.Text)
                : !Mismatch(list.Items[i], $"{key.Path}.{i}", "text");
        }

        return key with { Usable = usable };
    }

    private GivenKey CheckMapping(MappingNode mapping, GivenKey key)
    {
        var spec = key.Spec;
        if ((spec.Kind & (KeyKind.Mapping | KeyKind.Anything)) == 0)
        {
            Mismatch(mapping, key.Path, spec.Expectation);
            return key;
        }

        if (spec.Children is not null)
        {
            return key with { Usable = true, Sections = [Check(mapping, spec.Children, key.Path + ".")] };
        }

        if (spec.AnyChild is null)
        {
            return key with { Usable = true };
        }

        var children = mapping.Entries.ConvertAll(entry => spec.AnyChild with { Name = entry.Key });
        return key with { Usable = true, Sections = [Check(mapping, new KeyLevel(children), key.Path + ".")] };
    }

    private bool CheckScalar(ScalarNode node, KeySpec spec, string path, KeyKind? itemKind = null)
    {
        var kind = itemKind ?? spec.Kind;
        if (node.Text.Contains('\0', StringComparison.Ordinal))
        {
            Errors.Add(Finding(node.Origin, path, "the value holds a NUL character, which no path or name may."));
            return false;
        }

        var text = node.Text;
        var numeric = ScalarReader.TryNumber(node, out var number);
        var whole = ScalarReader.TryInteger(node, out _);
        if ((kind & KeyKind.Anything) != 0)
        {
            return true;
        }

        if ((kind & KeyKind.Boolean) != 0 && ScalarReader.TryBoolean(node, out var boolean))
        {
            text = boolean ? "true" : "false";
        }
        else if (((kind & KeyKind.Integer) != 0 && whole) || ((kind & KeyKind.Number) != 0 && numeric))
        {
            if (spec.Range is not null && !spec.Range.Holds(number))
            {
                return !Mismatch(node, path, spec.Expectation);
            }

            return true;
        }
        else if ((kind & KeyKind.Size) != 0 && ScalarReader.TrySize(node, out _))
        {
            return true;
        }
        else if ((kind & KeyKind.Text) == 0)
        {
            return !Mismatch(node, path, spec.Expectation, allowed: spec.Allowed);
        }
        else if (LooksOtherThanText(node, numeric) && !spec.Allowed.Contains(text))
        {
            return !Mismatch(
                node,
                path,
                itemKind is null ? spec.Expectation : "text",
                spec.Allowed.Count > 0 ? "" : "put it in quotes if text is meant.",
                spec.Allowed);
        }

        if (spec.Allowed.Count > 0 && !spec.Allowed.Contains(text))
        {
            Errors.Add(Finding(node.Origin, path, "this value is not supported.") with
            {
                Found = node.Describe(),
                Allowed = spec.Allowed,
                Nearest = NearestName.Find(text, spec.Allowed),
            });
            return false;
        }

        return true;
    }

    // On a command line nothing can be quoted, so there a number is text where text is wanted.
    private static bool LooksOtherThanText(ScalarNode node, bool numeric) =>
        node.Plain && node.Origin.Flag is null && (numeric || ScalarReader.IsBooleanWord(node.Text));

    private bool Mismatch(
        ConfigNode node, string path, string expected, string advice = "", IReadOnlyList<string>? allowed = null)
    {
        var octal = node is ScalarNode scalar && ScalarReader.IsOctalLooking(scalar.Text);
        var problem = advice.Length > 0 ? $"wrong type; {advice}"
            : octal ? "a leading zero means octal to some readers; write the number without it."
            : "wrong type or value.";
        Errors.Add(Finding(node.Origin, path, problem) with
        {
            Expected = expected,
            Found = node.Describe(),
            Allowed = allowed ?? [],
        });
        return true;
    }
}
