using System.Collections;
using System.Globalization;
using System.Text;

namespace Nibble.Data.Templates.Jinja;

/// <summary>
/// Python's rules for the values of a template: null, bool, long, double, string, <see cref="List{T}"/>,
/// <see cref="Dictionary{TKey, TValue}"/> by string, <see cref="JinjaUndefined"/>, <see cref="JinjaCallable"/>.
/// </summary>
internal static class JinjaValue
{
    public static bool IsTrue(object? value) => value switch
    {
        null or JinjaUndefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        string text => text.Length > 0,
        ICollection items => items.Count > 0,
        _ => true,
    };

    public static bool AreEqual(object? left, object? right)
    {
        if (Number(left) is { } a && Number(right) is { } b)
        {
            return a == b;
        }

        return (left, right) switch
        {
            (JinjaUndefined, JinjaUndefined) => true,
            (string x, string y) => x == y,
            (List<object?> x, List<object?> y) => x.Count == y.Count
                && !x.Where((item, i) => !AreEqual(item, y[i])).Any(),
            (Dictionary<string, object?> x, Dictionary<string, object?> y) => x.Count == y.Count
                && x.All(pair => y.TryGetValue(pair.Key, out var other) && AreEqual(pair.Value, other)),
            _ => ReferenceEquals(left, right),
        };
    }

    public static int Compare(object? left, object? right)
    {
        if (Number(left) is { } a && Number(right) is { } b)
        {
            return a.CompareTo(b);
        }

        return (left, right) is (string x, string y)
            ? string.CompareOrdinal(x, y)
            : throw new ChatTemplateException($"cannot order {Kind(left)} and {Kind(right)}");
    }

    public static double? Number(object? value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        double number => number,
        _ => null,
    };

    public static long Integer(object? value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        _ => throw new ChatTemplateException($"expected a whole number, found {Kind(value)}"),
    };

    /// <summary>The items of a sequence, the keys of a mapping, the characters of a string.</summary>
    public static List<object?> Items(object? value) => value switch
    {
        List<object?> list => list,
        Dictionary<string, object?> map => [.. map.Keys],
        string text => [.. text.EnumerateRunes().Select(rune => rune.ToString())],
        JinjaUndefined => [],
        _ => throw new ChatTemplateException($"expected something to go through, found {Kind(value)}"),
    };

    public static bool Contains(object? container, object? item) => container switch
    {
        string text => item is string part && text.Contains(part, StringComparison.Ordinal),
        Dictionary<string, object?> map => item is string key && map.ContainsKey(key),
        _ => Items(container).Exists(element => AreEqual(element, item)),
    };

    /// <summary>As printed by <c>{{ }}</c>.</summary>
    public static string Print(object? value) => value switch
    {
        string text => text,
        JinjaUndefined => string.Empty,
        _ => Represent(value),
    };

    public static string Kind(object? value) => value switch
    {
        null => "none",
        JinjaUndefined missing => $"'{missing.Name}', which is undefined",
        bool => "a boolean",
        long or double => "a number",
        string => "a string",
        List<object?> => "a list",
        Dictionary<string, object?> => "a mapping",
        _ => "an object",
    };

    /// <summary>As <c>json.dumps</c> without ASCII escaping writes it.</summary>
    /// <param name="value">Value.</param>
    /// <param name="indent">Spaces per level, or null for one line.</param>
    /// <param name="separators">Between items, and between key and value.</param>
    /// <param name="sortKeys">Keys in ordinal order.</param>
    public static string ToJson(object? value, int? indent, (string Item, string Key) separators, bool sortKeys)
    {
        var text = new StringBuilder();
        Write(value, 0);
        return text.ToString();

        void Write(object? node, int level)
        {
            switch (node)
            {
                case null:
                    text.Append("null");
                    break;
                case bool flag:
                    text.Append(flag ? "true" : "false");
                    break;
                case string part:
                    WriteJsonString(text, part);
                    break;
                case List<object?> list:
                    Group('[', ']', list.Count, level, i => Write(list[i], level + 1));
                    break;
                case Dictionary<string, object?> map:
                    var pairs = sortKeys ? [.. map.OrderBy(p => p.Key, StringComparer.Ordinal)] : map.ToList();
                    Group('{', '}', pairs.Count, level, i =>
                    {
                        WriteJsonString(text, pairs[i].Key);
                        text.Append(separators.Key);
                        Write(pairs[i].Value, level + 1);
                    });
                    break;
                case long or double:
                    text.Append(Represent(node));
                    break;
                default:
                    throw new ChatTemplateException($"tojson cannot write {Kind(node)}");
            }
        }

        void Group(char open, char close, int count, int level, Action<int> item)
        {
            text.Append(open);
            for (var i = 0; i < count; i++)
            {
                text.Append(i == 0 ? string.Empty : separators.Item);
                NewLine(level + 1);
                item(i);
            }

            if (count > 0)
            {
                NewLine(level);
            }

            text.Append(close);
        }

        void NewLine(int level)
        {
            if (indent is { } width)
            {
                text.Append('\n').Append(' ', width * level);
            }
        }
    }

    private static string Represent(object? value) => value switch
    {
        null => "None",
        bool flag => flag ? "True" : "False",
        long number => number.ToString(CultureInfo.InvariantCulture),
        double number => Float(number),
        string text => Quote(text),
        JinjaUndefined => "Undefined",
        JinjaTuple tuple => "(" + string.Join(", ", tuple.Select(Represent)) + (tuple.Count == 1 ? ",)" : ")"),
        List<object?> list => "[" + string.Join(", ", list.Select(Represent)) + "]",
        Dictionary<string, object?> map =>
            "{" + string.Join(", ", map.Select(pair => $"{Quote(pair.Key)}: {Represent(pair.Value)}")) + "}",
        _ => throw new ChatTemplateException($"cannot print {Kind(value)}"),
    };

    private static string Float(double number)
    {
        if (!double.IsFinite(number))
        {
            return double.IsNaN(number) ? "nan" : number > 0 ? "inf" : "-inf";
        }

        var size = Math.Abs(number);
        if (size != 0 && size is < 1e-4 or >= 1e16)
        {
            // Python: at least two digits of exponent, no trailing ".0" in the mantissa.
            var parts = number.ToString("E16", CultureInfo.InvariantCulture).Split('E');
            var shortest = number.ToString("R", CultureInfo.InvariantCulture).Split('E');
            var exponent = int.Parse(parts[1], CultureInfo.InvariantCulture);
            var mantissa = shortest.Length == 2 ? shortest[0] : parts[0].TrimEnd('0').TrimEnd('.');
            return $"{mantissa}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        }

        var plain = number.ToString("R", CultureInfo.InvariantCulture);
        return plain.Contains('.') ? plain : plain + ".0";
    }

    private static string Quote(string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var quoted = text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)
            .Replace("\r", "\\r", StringComparison.Ordinal).Replace("\t", "\\t", StringComparison.Ordinal);
        return quote + (quote == '\'' ? quoted.Replace("'", "\\'", StringComparison.Ordinal) : quoted) + quote;
    }

    private static void WriteJsonString(StringBuilder output, string text)
    {
        output.Append('"');
        foreach (var c in text)
        {
            var plain = "\"\\\n\r\t\b\f".IndexOf(c);
            if (plain >= 0)
            {
                output.Append('\\').Append("\"\\nrtbf"[plain]);
            }
            else if (c < ' ')
            {
                output.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
            }
            else
            {
                output.Append(c);
            }
        }

        output.Append('"');
    }
}
