using System.Text;

namespace Nibble.Data.Templates.Jinja;

/// <summary>Operators, attribute access, indexing and slicing.</summary>
internal static class JinjaOperators
{
    public static bool Compare(string operation, object? left, object? right) => operation switch
    {
        "==" => JinjaValue.AreEqual(left, right),
        "!=" => !JinjaValue.AreEqual(left, right),
        "in" => JinjaValue.Contains(right, left),
        "not in" => !JinjaValue.Contains(right, left),
        "<" => JinjaValue.Compare(left, right) < 0,
        ">" => JinjaValue.Compare(left, right) > 0,
        "<=" => JinjaValue.Compare(left, right) <= 0,
        _ => JinjaValue.Compare(left, right) >= 0,
    };

    public static object? Apply(string operation, object? left, object? right)
    {
        switch (operation, left, right)
        {
            case ("~", _, _):
                return JinjaValue.Print(left) + JinjaValue.Print(right);
            case ("+", string a, string b):
                return a + b;
            case ("+", List<object?> a, List<object?> b):
                return a is JinjaTuple ? new JinjaTuple([.. a, .. b]) : new List<object?>([.. a, .. b]);
            case ("*", string a, long or bool):
                return new StringBuilder().Insert(0, a, (int)Math.Max(0, JinjaValue.Integer(right))).ToString();
            case (_, long or bool, long or bool) when operation != "/":
                return Whole(operation, JinjaValue.Integer(left), JinjaValue.Integer(right));
            default:
                return JinjaValue.Number(left) is { } x && JinjaValue.Number(right) is { } y
                    ? Floating(operation, x, y)
                    : throw new ChatTemplateException(
                        $"chat template: '{operation}' between {JinjaValue.Kind(left)} and {JinjaValue.Kind(right)}.");
        }
    }

    public static object? Attribute(object? target, string name) => target switch
    {
        JinjaNamespace space => space.Values.TryGetValue(name, out var value) ? value : new JinjaUndefined(name),
        Dictionary<string, object?> map => JinjaMethods.Find(map, name)
            ?? (map.TryGetValue(name, out var value) ? value : new JinjaUndefined(name)),
        JinjaUndefined missing => throw Missing(missing, name),
        _ => (object?)JinjaMethods.Find(target, name) ?? new JinjaUndefined(name),
    };

    public static object? Index(object? target, object? index)
    {
        switch (target)
        {
            case Dictionary<string, object?> map when index is string key:
                return map.TryGetValue(key, out var value) ? value : (object?)JinjaMethods.Find(map, key)
                    ?? new JinjaUndefined(key);
            case List<object?> list when index is long at:
                at = at < 0 ? at + list.Count : at;
                return at >= 0 && at < list.Count ? list[(int)at] : new JinjaUndefined($"item {index}");
            case string text when index is long at:
                var runes = JinjaValue.Items(text);
                at = at < 0 ? at + runes.Count : at;
                return at >= 0 && at < runes.Count ? runes[(int)at] : new JinjaUndefined($"character {index}");
            case JinjaUndefined missing:
                throw Missing(missing, JinjaValue.Print(index));
            default:
                return index is string name ? Attribute(target, name) : new JinjaUndefined(JinjaValue.Print(index));
        }
    }

    public static object? Slice(object? target, object? start, object? stop, object? step)
    {
        var items = target is string or List<object?>
            ? JinjaValue.Items(target)
            : throw new ChatTemplateException($"chat template: a slice of {JinjaValue.Kind(target)}.");
        var by = step is null ? 1 : (int)JinjaValue.Integer(step);
        if (by == 0)
        {
            throw new ChatTemplateException("chat template: a slice with step 0.");
        }

        int Bound(object? value, int missing)
        {
            if (value is null)
            {
                return missing;
            }

            var at = JinjaValue.Integer(value);
            at = at < 0 ? at + items.Count : at;
            return (int)Math.Clamp(at, by > 0 ? 0 : -1, by > 0 ? items.Count : items.Count - 1);
        }

        var picked = new List<object?>();
        var from = Bound(start, by > 0 ? 0 : items.Count - 1);
        var to = Bound(stop, by > 0 ? items.Count : -1);
        for (var at = from; by > 0 ? at < to : at > to; at += by)
        {
            picked.Add(items[at]);
        }

        return target is string ? string.Concat(picked) : target is JinjaTuple ? new JinjaTuple(picked) : picked;
    }

    private static object? Whole(string operation, long left, long right)
    {
        switch (operation)
        {
            case "+":
                return left + right;
            case "-":
                return left - right;
            case "*":
                return left * right;
            case "**":
                return right < 0 ? Math.Pow(left, right) : (long)Math.Pow(left, right);
            default:
                if (right == 0)
                {
                    throw new ChatTemplateException("chat template: division by zero.");
                }

                // Python rounds towards minus infinity and gives the remainder the divisor's sign.
                var remainder = left % right;
                remainder += remainder != 0 && (remainder < 0) != (right < 0) ? right : 0;
                return operation == "%" ? remainder : (left - remainder) / right;
        }
    }

    private static double Floating(string operation, double left, double right) => operation switch
    {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "**" => Math.Pow(left, right),
        "/" => right == 0 ? throw new ChatTemplateException("chat template: division by zero.") : left / right,
        "//" => Math.Floor(left / right),
        _ => left - (right * Math.Floor(left / right)),
    };

    private static ChatTemplateException Missing(JinjaUndefined missing, string name) =>
        new($"chat template: '{name}' of '{missing.Name}', which is undefined.");
}
