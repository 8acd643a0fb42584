using System.Globalization;

namespace Nibble.Data.Templates.Jinja;

/// <summary>Filters; the first argument is the value on the left of the bar.</summary>
internal static class JinjaFilters
{
    public static readonly IReadOnlyDictionary<string, object?> NoNames = new Dictionary<string, object?>();

    private static readonly Dictionary<string, JinjaCallable> All = new()
    {
        ["trim"] = (a, _) => a.Count > 1 ? Text(a[0]).Trim(Text(a[1]).ToCharArray()) : Text(a[0]).Trim(),
        ["length"] = (a, _) => (long)JinjaValue.Items(a[0]).Count,
        ["count"] = (a, _) => (long)JinjaValue.Items(a[0]).Count,
        ["string"] = (a, _) => Text(a[0]),
        ["safe"] = (a, _) => a[0],
        ["list"] = (a, _) => new List<object?>(JinjaValue.Items(a[0])),
        ["upper"] = (a, _) => Text(a[0]).ToUpperInvariant(),
        ["lower"] = (a, _) => Text(a[0]).ToLowerInvariant(),
        ["title"] = (a, _) => JinjaMethods.Title(Text(a[0])),
        ["capitalize"] = (a, _) => JinjaMethods.Capitalize(Text(a[0])),
        ["replace"] = (a, _) => Text(a[0]).Replace(Text(a[1]), Text(a[2]), StringComparison.Ordinal),
        ["first"] = (a, _) => JinjaOperators.Index(a[0] is string ? a[0] : JinjaValue.Items(a[0]), 0L),
        ["last"] = (a, _) => JinjaOperators.Index(a[0] is string ? a[0] : JinjaValue.Items(a[0]), -1L),
        ["reverse"] = (a, _) => JinjaOperators.Slice(a[0], null, null, -1L),
        ["abs"] = (a, _) => a[0] is long whole ? Math.Abs(whole) : Math.Abs(JinjaValue.Number(a[0]) ?? 0),
        ["items"] = (a, _) => a[0] is Dictionary<string, object?> map ? JinjaMethods.Find(map, "items")!([], NoNames)
            : new List<object?>(),
        ["int"] = (a, _) => ToInteger(a[0]) ?? (a.Count > 1 ? a[1] : 0L),
        ["float"] = (a, _) => JinjaValue.Number(a[0])
            ?? (double.TryParse(Text(a[0]), CultureInfo.InvariantCulture, out var number) ? number : 0.0),
        ["default"] = Default,
        ["d"] = Default,
        ["join"] = (a, named) => string.Join(
            a.Count > 1 ? Text(a[1]) : string.Empty,
            JinjaValue.Items(a[0]).Select(item =>
                Text(named.TryGetValue("attribute", out var name) ? Path(item, name) : item))),
        ["map"] = Map,
        ["select"] = (a, _) => Filter(a, 1, item => item, keep: true),
        ["reject"] = (a, _) => Filter(a, 1, item => item, keep: false),
        ["selectattr"] = (a, _) => Filter(a, 2, item => Path(item, a[1]), keep: true),
        ["rejectattr"] = (a, _) => Filter(a, 2, item => Path(item, a[1]), keep: false),
        ["dictsort"] = (a, _) => a[0] is Dictionary<string, object?> map
            ? map.OrderBy(pair => pair.Key, StringComparer.OrdinalIgnoreCase)
                .Select(pair => (object?)new JinjaTuple([pair.Key, pair.Value])).ToList()
            : throw new ChatTemplateException($"chat template: dictsort of {JinjaValue.Kind(a[0])}."),
        ["sort"] = Sort,
        ["unique"] = Unique,
        ["tojson"] = ToJson,
        ["indent"] = Indent,
    };

    /// <summary>The filter of a name, or null.</summary>
    public static JinjaCallable? Find(string name) => All.GetValueOrDefault(name);

    private static string Text(object? value) => JinjaValue.Print(value);

    private static object? Path(object? item, object? path)
    {
        foreach (var name in Text(path).Split('.'))
        {
            item = long.TryParse(name, CultureInfo.InvariantCulture, out var index)
                ? JinjaOperators.Index(item, index)
                : JinjaOperators.Index(item, name);
        }

        return item;
    }

    private static object? Default(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        var falseToo = a.Count > 2 ? a[2] : named.GetValueOrDefault("boolean");
        var isMissing = a[0] is JinjaUndefined || (JinjaValue.IsTrue(falseToo) && !JinjaValue.IsTrue(a[0]));
        return !isMissing ? a[0] : a.Count > 1 ? a[1] : named.TryGetValue("default_value", out var value) ? value
            : string.Empty;
    }

    private static List<object?> Map(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        if (named.TryGetValue("attribute", out var path))
        {
            var hasDefault = named.TryGetValue("default", out var missing);
            return [.. JinjaValue.Items(a[0]).Select(item => Path(item, path) is var found && found is JinjaUndefined
                && hasDefault
                ? missing
                : found)];
        }

        var filter = Find(Text(a[1]))
            ?? throw new ChatTemplateException($"chat template: the filter '{Text(a[1])}' is not supported.");
        return [.. JinjaValue.Items(a[0]).Select(item => filter([item, .. a.Skip(2)], named))];
    }

    private static List<object?> Filter(IReadOnlyList<object?> a, int testAt, Func<object?, object?> value, bool keep)
    {
        Func<object?, IReadOnlyList<object?>, bool> test = (item, _) => JinjaValue.IsTrue(item);
        if (a.Count > testAt)
        {
            test = JinjaTests.Find(Text(a[testAt]))
                ?? throw new ChatTemplateException($"chat template: the test '{Text(a[testAt])}' is not supported.");
        }

        object?[] arguments = [.. a.Skip(testAt + 1)];
        return [.. JinjaValue.Items(a[0]).Where(item => test(value(item), arguments) == keep)];
    }

    private static List<object?> Sort(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        object? Key(object? item)
        {
            var value = named.TryGetValue("attribute", out var path) ? Path(item, path) : item;
            return value is string text && !JinjaValue.IsTrue(named.GetValueOrDefault("case_sensitive"))
                ? text.ToLowerInvariant() : value;
        }

        var order = Comparer<object?>.Create(JinjaValue.Compare);
        var items = JinjaValue.Items(a[0]);
        var descending = JinjaValue.IsTrue(a.Count > 1 ? a[1] : named.GetValueOrDefault("reverse"));
        return [.. descending ? items.OrderByDescending(Key, order) : items.OrderBy(Key, order)];
    }

    private static List<object?> Unique(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        var kept = new List<object?>();
        foreach (var item in JinjaValue.Items(a[0]))
        {
            if (!kept.Exists(other => JinjaValue.AreEqual(other, item)))
            {
                kept.Add(item);
            }
        }

        return kept;
    }

    private static string ToJson(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        var indent = named.TryGetValue("indent", out var width) ? width : a.Count > 2 ? a[2] : null;
        // Python leaves the blank after a comma out when it breaks lines.
        var separators = (Item: indent is null ? ", " : ",", Key: ": ");
        if (named.GetValueOrDefault("separators") is List<object?> { Count: 2 } own)
        {
            separators = (Text(own[0]), Text(own[1]));
        }

        return JinjaValue.ToJson(
            a[0],
            indent is null ? null : (int)JinjaValue.Integer(indent),
            separators,
            JinjaValue.IsTrue(named.GetValueOrDefault("sort_keys")));
    }

    private static string Indent(IReadOnlyList<object?> a, IReadOnlyDictionary<string, object?> named)
    {
        var width = a.Count > 1 ? a[1] : named.GetValueOrDefault("width") ?? 4L;
        var margin = width is string text ? text : new string(' ', (int)JinjaValue.Integer(width));
        var first = JinjaValue.IsTrue(a.Count > 2 ? a[2] : named.GetValueOrDefault("first"));
        var lines =
            Text(a[0]).Split('\n').Select((line, i) => (i == 0 ? !first : line.Length == 0) ? line : margin + line);
        return string.Join('\n', lines);
    }

    private static object? ToInteger(object? value) => value switch
    {
        long or bool => JinjaValue.Integer(value),
        double number => (long)Math.Truncate(number),
        string text when long.TryParse(text.Trim(), CultureInfo.InvariantCulture, out var whole) => whole,
        string text when double.TryParse(text.Trim(), CultureInfo.InvariantCulture, out var number) =>
            (long)Math.Truncate(number),
        _ => null,
    };
}
