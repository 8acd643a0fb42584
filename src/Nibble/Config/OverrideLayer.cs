using System.Globalization;

namespace Nibble.Config;

/// <summary>Lays flags over the tree of the file, so that both go through the same checks.</summary>
internal static class OverrideLayer
{
    /// <summary>The key that a dotted path names, or null when there is none.</summary>
    public static KeySpec? SpecOf(string path)
    {
        KeySpec? spec = null;
        KeyLevel? level = KeyTable.Root;
        foreach (var segment in path.Split('.'))
        {
            if (spec is { Kind: KeyKind.EntryList } && level is not null && IsIndex(segment))
            {
                continue;
            }

            spec = level is not null ? Find(level, segment) : spec?.AnyChild;
            if (spec is null)
            {
                return null;
            }

            level = spec.Children;
        }

        return spec;
    }

    /// <summary>Puts one flag into the tree, making the mappings and the next list entry on its way.</summary>
    public static void Apply(MappingNode root, ConfigOverride flag, List<ConfigFinding> errors)
    {
        var segments = flag.Key.Split('.');
        var origin = Origin.OfFlag(flag.Key);
        Into(root, KeyTable.Root, null, 0);

        void Into(MappingNode mapping, KeyLevel? level, KeySpec? anyChild, int depth)
        {
            var spec = level is not null ? Find(level, segments[depth]) : anyChild;
            if (spec is null)
            {
                errors.Add(Unknown(flag.Key, segments[depth], level, string.Join('.', segments[..depth])));
                return;
            }

            var name = level is null ? segments[depth] : spec.Name;
            var last = depth == segments.Length - 1;
            var at = mapping.Entries.FindIndex(entry => (level?.Find(entry.Key)?.Name ?? entry.Key) == name);
            if (last)
            {
                Put(mapping, at, name, ValueOf(flag, spec, origin, errors));
                return;
            }

            if (spec.Kind == KeyKind.EntryList)
            {
                if (at < 0 || mapping.Entries[at].Value is not SequenceNode)
                {
                    at = Put(mapping, at, name, new SequenceNode(origin, []));
                }

                IntoEntry((SequenceNode)mapping.Entries[at].Value, spec, depth + 1);
                return;
            }

            if (spec.Children is null && spec.AnyChild is null)
            {
                errors.Add(Wrong(flag.Key, $"'{name}' holds no keys of its own.", spec.Expectation));
                return;
            }

            if (at < 0 || mapping.Entries[at].Value is not MappingNode)
            {
                at = Put(mapping, at, name, new MappingNode(origin, []));
            }

            Into((MappingNode)mapping.Entries[at].Value, spec.Children, spec.AnyChild, depth + 1);
        }

        void IntoEntry(SequenceNode list, KeySpec spec, int depth)
        {
            if (!IsIndex(segments[depth]) || depth == segments.Length - 1)
            {
                errors.Add(Wrong(
                    flag.Key,
                    "an entry of a list is named by its index and a key of it.",
                    $"--{spec.Name}.0.{spec.Children!.Keys[0].Name}"));
                return;
            }

            var index = int.Parse(segments[depth], CultureInfo.InvariantCulture);
            if (index > list.Items.Count)
            {
                errors.Add(Wrong(
                    flag.Key,
                    $"'{spec.Name}' has {list.Items.Count} entries, counted from 0.",
                    $"an index of at most {list.Items.Count}, which adds an entry"));
                return;
            }

            if (index == list.Items.Count)
            {
                list.Items.Add(new MappingNode(origin, []));
            }
            else if (list.Items[index] is not MappingNode)
            {
                list.Items[index] = new MappingNode(origin, []);
            }

            Into((MappingNode)list.Items[index], spec.Children, null, depth + 1);
        }

        int Put(MappingNode mapping, int at, string name, ConfigNode value)
        {
            var entry = new MappingEntry(name, origin, value);
            if (at < 0)
            {
                mapping.Entries.Add(entry);
                return mapping.Entries.Count - 1;
            }

            mapping.Entries[at] = entry;
            return at;
        }
    }

    private static ConfigNode ValueOf(ConfigOverride flag, KeySpec spec, Origin origin, List<ConfigFinding> errors)
    {
        var text = flag.Value;
        if (text is null)
        {
            if ((spec.Kind & KeyKind.Boolean) == 0)
            {
                errors.Add(Wrong(flag.Key, "the flag needs a value.", spec.Expectation));
                return new ScalarNode(origin, "", plain: true);
            }

            return new ScalarNode(origin, "true", plain: true);
        }

        const KeyKind structured = KeyKind.TextList | KeyKind.Mapping | KeyKind.EntryList | KeyKind.Anything;
        if ((spec.Kind & structured) != 0 && text.Length > 0 && text[0] is '[' or '{')
        {
            try
            {
                return YamlTreeReader.ReadFlow(text, flag.Key);
            }
            catch (ConfigException e)
            {
                errors.AddRange(e.Findings);
            }
        }

        if ((spec.Kind & KeyKind.TextList) != 0
            && (text.Contains(',', StringComparison.Ordinal) || (spec.Kind & KeyKind.Text) == 0)
            && !ScalarReader.IsNull(new ScalarNode(origin, text, plain: true)))
        {
            var items = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            return new SequenceNode(origin, [.. items.Select(item => new ScalarNode(origin, item, plain: true))]);
        }

        return new ScalarNode(origin, text, plain: true);
    }

    /// <summary>An unknown key, with the nearest one and, where it exists elsewhere, its right place.</summary>
    public static string UnknownProblem(string name, string prefix)
    {
        if (KeyTable.IsSecret(name))
        {
            return "credentials do not belong in a configuration, which is saved beside every checkpoint; "
                + "put them into the environment.";
        }

        var place = prefix.Length == 0 ? "" : $" in {prefix}";
        if (prefix.Length > 0 && KeyTable.Root.Find(name) is not null)
        {
            return $"unknown key{place}; it belongs at the top level.";
        }

        var home = KeyTable.Nested.FirstOrDefault(nested => nested.Level.Find(name) is not null).Path;
        return home is null ? $"unknown key{place}." : $"unknown key{place}; it belongs under {home}.";
    }

    private static ConfigFinding Unknown(string key, string name, KeyLevel? level, string prefix) => new()
    {
        File = "",
        Flag = key,
        Key = key,
        Problem = UnknownProblem(name, prefix),
        Nearest = level is null || KeyTable.IsSecret(name) ? null : Join(prefix, NearestName.Find(name, level.Names)),
    };

    private static string? Join(string prefix, string? name) =>
        name is null || prefix.Length == 0 ? name : $"{prefix}.{name}";

    private static ConfigFinding Wrong(string key, string problem, string expected) =>
        new() { File = "", Flag = key, Key = key, Problem = problem, Expected = expected };

    private static KeySpec? Find(KeyLevel level, string segment) =>
        level.Find(segment) ?? level.Find(segment.Replace('-', '_'));

    private static bool IsIndex(string segment) =>
        segment.Length is > 0 and < 5 && segment.All(char.IsAsciiDigit);
}
