namespace Nibble.Data.Templates.Jinja;

/// <summary>Tests, the words after <c>is</c>.</summary>
internal static class JinjaTests
{
    private static readonly Dictionary<string, Func<object?, IReadOnlyList<object?>, bool>> All = new()
    {
        ["defined"] = (value, _) => value is not JinjaUndefined,
        ["undefined"] = (value, _) => value is JinjaUndefined,
        ["none"] = (value, _) => value is null,
        ["string"] = (value, _) => value is string,
        ["number"] = (value, _) => value is long or double or bool,
        ["integer"] = (value, _) => value is long,
        ["float"] = (value, _) => value is double,
        ["boolean"] = (value, _) => value is bool,
        ["true"] = (value, _) => value is true,
        ["false"] = (value, _) => value is false,
        ["mapping"] = (value, _) => value is Dictionary<string, object?>,
        ["iterable"] = (value, _) => value is string or List<object?> or Dictionary<string, object?> or JinjaUndefined,
        ["sequence"] = (value, _) => value is string or List<object?> or Dictionary<string, object?> or JinjaUndefined,
        ["callable"] = (value, _) => value is JinjaCallable,
        ["equalto"] = (value, a) => JinjaValue.AreEqual(value, a[0]),
        ["eq"] = (value, a) => JinjaValue.AreEqual(value, a[0]),
        ["=="] = (value, a) => JinjaValue.AreEqual(value, a[0]),
        ["ne"] = (value, a) => !JinjaValue.AreEqual(value, a[0]),
        ["!="] = (value, a) => !JinjaValue.AreEqual(value, a[0]),
        ["in"] = (value, a) => JinjaValue.Contains(a[0], value),
        ["gt"] = (value, a) => JinjaValue.Compare(value, a[0]) > 0,
        ["ge"] = (value, a) => JinjaValue.Compare(value, a[0]) >= 0,
        ["lt"] = (value, a) => JinjaValue.Compare(value, a[0]) < 0,
        ["le"] = (value, a) => JinjaValue.Compare(value, a[0]) <= 0,
        ["odd"] = (value, _) => JinjaValue.Integer(value) % 2 != 0,
        ["even"] = (value, _) => JinjaValue.Integer(value) % 2 == 0,
        ["divisibleby"] = (value, a) => JinjaValue.Integer(value) % JinjaValue.Integer(a[0]) == 0,
        ["lower"] = (value, _) => value is string text
            && text.Equals(text.ToLowerInvariant(), StringComparison.Ordinal),
        ["upper"] = (value, _) => value is string text
            && text.Equals(text.ToUpperInvariant(), StringComparison.Ordinal),
    };

    /// <summary>The test of a name, or null.</summary>
    public static Func<object?, IReadOnlyList<object?>, bool>? Find(string name) => All.GetValueOrDefault(name);
}
