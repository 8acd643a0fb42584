namespace Nibble.Data.Templates.Jinja;

/// <summary>The value of a name or attribute that is not there: prints as nothing, counts as false.</summary>
internal sealed class JinjaUndefined
{
    public JinjaUndefined(string name) => Name = name;

    /// <summary>What was looked for.</summary>
    public string Name { get; }
}

/// <summary>An object whose attributes a template may assign: <c>namespace(...)</c>.</summary>
internal sealed class JinjaNamespace
{
    public Dictionary<string, object?> Values { get; } = [];
}

/// <summary>A list that prints in round brackets.</summary>
internal sealed class JinjaTuple(IEnumerable<object?> items) : List<object?>(items);

/// <summary>A function, method or macro.</summary>
/// <param name="arguments">Positional arguments.</param>
/// <param name="named">Named arguments.</param>
internal delegate object? JinjaCallable(IReadOnlyList<object?> arguments, IReadOnlyDictionary<string, object?> named);

/// <summary>Names in reach. A loop iteration and a macro call have their own; an <c>if</c> has not.</summary>
/// <param name="parent">Scope around, or null.</param>
internal sealed class JinjaScope(JinjaScope? parent)
{
    private readonly Dictionary<string, object?> _values = [];

    public object? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._values.TryGetValue(name, out var value))
            {
                return value;
            }
        }

        return new JinjaUndefined(name);
    }

    public void Set(string name, object? value) => _values[name] = value;

    private JinjaScope? Parent { get; } = parent;
}
