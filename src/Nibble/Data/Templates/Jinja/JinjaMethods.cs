using System.Text;

namespace Nibble.Data.Templates.Jinja;

/// <summary>Methods of strings, mappings and lists.</summary>
internal static class JinjaMethods
{
    /// <summary>A bound method, or null when the value has none of this name.</summary>
    public static JinjaCallable? Find(object? target, string name) => target switch
    {
        string text => OfText(text, name),
        Dictionary<string, object?> map => OfMapping(map, name),
        List<object?> list => OfList(list, name),
        _ => null,
    };

    public static string Title(string text)
    {
        var output = new StringBuilder(text.Length);
        var inWord = false;
        foreach (var c in text)
        {
            output.Append(inWord ? char.ToLowerInvariant(c) : char.ToUpperInvariant(c));
            inWord = char.IsLetter(c);
        }

        return output.ToString();
    }

    public static string Capitalize(string text) =>
        text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..].ToLowerInvariant();

    private static JinjaCallable? OfText(string text, string name) => name switch
    {
        "strip" => (a, _) => Chars(a) is { } chars ? text.Trim(chars) : text.Trim(),
        "lstrip" => (a, _) => Chars(a) is { } chars ? text.TrimStart(chars) : text.TrimStart(),
        "rstrip" => (a, _) => Chars(a) is { } chars ? text.TrimEnd(chars) : text.TrimEnd(),
        "startswith" => (a, _) => Options(a).Exists(part => text.StartsWith(part, StringComparison.Ordinal)),
        "endswith" => (a, _) => Options(a).Exists(part => text.EndsWith(part, StringComparison.Ordinal)),
        "split" => (a, named) => Split(text, a, named, fromEnd: false),
        "rsplit" => (a, named) => Split(text, a, named, fromEnd: true),
        "splitlines" => (_, _) => text.Split('\n').Select(line => (object?)line).ToList(),
        "replace" => (a, _) => text.Replace(Text(a, 0), Text(a, 1), StringComparison.Ordinal),
        "upper" => (_, _) => text.ToUpperInvariant(),
        "lower" => (_, _) => text.ToLowerInvariant(),
        "title" => (_, _) => Title(text),
        "capitalize" => (_, _) => Capitalize(text),
        "find" => (a, _) => (long)text.IndexOf(Text(a, 0), StringComparison.Ordinal),
        "count" => (a, _) => Count(text, Text(a, 0)),
        "join" => (a, _) => string.Join(text, JinjaValue.Items(a[0]).Select(JinjaValue.Print)),
        "isdigit" => (_, _) => text.Length > 0 && text.All(char.IsDigit),
        _ => null,
    };

    private static JinjaCallable? OfMapping(Dictionary<string, object?> map, string name) => name switch
    {
        "items" => (_, _) => map.Select(pair => (object?)new JinjaTuple([pair.Key, pair.Value])).ToList(),
        "keys" => (_, _) => map.Keys.Select(key => (object?)key).ToList(),
        "values" => (_, _) => map.Values.ToList(),
        "get" => (a, _) => map.TryGetValue(Text(a, 0), out var value) ? value : a.Count > 1 ? a[1] : null,
        _ => null,
    };

    private static JinjaCallable? OfList(List<object?> list, string name) => name switch
    {
        "append" => (a, _) => Append(list, a[0]),
        "index" => (a, _) => (long)list.FindIndex(item => JinjaValue.AreEqual(item, a[0])),
        "count" => (a, _) => (long)list.Count(item => JinjaValue.AreEqual(item, a[0])),
        _ => null,
    };

    private static object? Append(List<object?> list, object? item)
    {
        list.Add(item);
        return null;
    }

    private static long Count(string text, string part) => part.Length == 0
        ? text.Length + 1
        : (text.Length - text.Replace(part, "", StringComparison.Ordinal).Length) / part.Length;

    private static List<object?> Split(
        string text, IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named, bool fromEnd)
    {
        var separator = arguments.Count > 0 ? arguments[0] : named.GetValueOrDefault("sep");
        var most = arguments.Count > 1 ? arguments[1] : named.GetValueOrDefault("maxsplit");
        if (separator is not string between)
        {
            return [.. text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)];
        }

        var parts = text.Split(between).Select(part => (object?)part).ToList();
        if (most is long limit && limit >= 0 && parts.Count > limit + 1)
        {
            var kept = (int)limit;
            return fromEnd
                ? [string.Join(between, parts[..^kept]), .. parts[^kept..]]
                : [.. parts[..kept], string.Join(between, parts[kept..])];
        }

        return parts;
    }

    private static char[]? Chars(IReadOnlyList<object?> arguments) => arguments.Count > 0
        ? Text(arguments, 0).ToCharArray() : null;

    private static List<string> Options(IReadOnlyList<object?> arguments) => arguments[0] is List<object?> several
        ? [.. several.Select(JinjaValue.Print)]
        : [Text(arguments, 0)];

    private static string Text(IReadOnlyList<object?> arguments, int index) => index < arguments.Count
        && arguments[index] is string text
        ? text
        : throw new ChatTemplateException(
            $"chat template: a method needs a string as argument {index + 1}, "
            + $"found {(index < arguments.Count ? JinjaValue.Kind(arguments[index]) : "none")}.");
}
