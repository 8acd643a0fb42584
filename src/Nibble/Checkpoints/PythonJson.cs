using System.Globalization;
using System.Text;

namespace Nibble.Checkpoints;

/// <summary>
/// Writes JSON as Python's <c>json.dumps(tree, indent=2, sort_keys=True)</c> does, so that files of ours and of the
/// Python
/// tools compare line by line. Values: null, bool, int, long, double, string, lists and dictionaries of them.
/// </summary>
internal static class PythonJson
{
    /// <summary>The text of a tree, without a final newline.</summary>
    internal static string Write(object? tree)
    {
        var text = new StringBuilder();
        Append(text, tree, 0);
        return text.ToString();
    }

    /// <summary>Python's <c>repr</c> of a float; not a number becomes null, because strict readers accept no
    /// NaN.</summary>
    internal static string Number(double value)
    {
        if (!double.IsFinite(value))
        {
            return "null";
        }

        if (value == 0)
        {
            return double.IsNegative(value) ? "-0.0" : "0.0";
        }

        // The shortest digits that read back as the same number are the same everywhere; only the notation differs.
        var shortest = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        var e = shortest.IndexOf('E', StringComparison.Ordinal);
        var mantissa = e < 0 ? shortest : shortest[..e];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var whole = point < 0 ? mantissa.Length : point;
        var all = mantissa.Replace(".", "", StringComparison.Ordinal);
        var leading = all.Length - all.TrimStart('0').Length;
        var digits = all.Trim('0');

        // value = 0.d1d2d3… × 10^position
        var position = whole - leading + (e < 0 ? 0 : int.Parse(shortest[(e + 1)..], CultureInfo.InvariantCulture));
        var sign = value < 0 ? "-" : "";
        if (position is < -3 or > 16)
        {
            var exponent = position - 1;
            var fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? "-" : "+")}{Math.Abs(exponent):00}";
        }

        return position <= 0
            ? $"{sign}0.{new string('0', -position)}{digits}"
            : digits.Length <= position
                ? $"{sign}{digits.PadRight(position, '0')}.0"
                : $"{sign}{digits[..position]}.{digits[position..]}";
    }

    private static void Append(StringBuilder text, object? node, int depth)
    {
        switch (node)
        {
            case null:
                text.Append("null");
                break;
            case bool flag:
                text.Append(flag ? "true" : "false");
                break;
            case int or long:
                text.Append(CultureInfo.InvariantCulture, $"{node}");
                break;
            case double number:
                text.Append(Number(number));
                break;
            case string s:
                AppendString(text, s);
                break;
            case IReadOnlyDictionary<string, object?> map:
                AppendItems(
                    text,
                    '{',
                    '}',
                    depth,
                    map.OrderBy(p => p.Key, StringComparer.Ordinal),
                    pair =>
                    {
                        AppendString(text, pair.Key);
                        text.Append(": ");
                        Append(text, pair.Value, depth + 1);
                    });
                break;
            case IEnumerable<object?> list:
                AppendItems(text, '[', ']', depth, list, item => Append(text, item, depth + 1));
                break;
            default:
                throw new ArgumentException($"no JSON for {node.GetType().Name}", nameof(node));
        }
    }

    private static void AppendItems<T>(
        StringBuilder text, char open, char close, int depth, IEnumerable<T> items, Action<T> append)
    {
        text.Append(open);
        var any = false;
        foreach (var item in items)
        {
            text.Append(any ? ",\n" : "\n").Append(' ', 2 * (depth + 1));
            append(item);
            any = true;
        }

        if (any)
        {
            text.Append('\n').Append(' ', 2 * depth);
        }

        text.Append(close);
    }

    private static void AppendString(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (var c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                < ' ' or > '~' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        }

        text.Append('"');
    }
}
