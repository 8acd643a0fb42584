namespace Nibble.Data.Templates.Jinja;

// What follows a value: attribute, index, call, filter and test.
internal partial class JinjaExpressionParser
{
    private JinjaExpression ReadPostfix(JinjaExpression value)
    {
        while (true)
        {
            var target = value;
            if (TakeOperator("."))
            {
                var name = Current.Kind == JinjaKind.Integer ? Take().Text : ExpectName();
                value = scope => JinjaOperators.Attribute(target(scope), name);
            }
            else if (TakeOperator("["))
            {
                value = ReadIndex(target);
            }
            else if (IsOperator("("))
            {
                var line = Current.Line;
                var arguments = ReadArguments();
                value = scope => target(scope) is JinjaCallable callable
                    ? arguments(scope, callable)
                    : throw new ChatTemplateException(
                        $"chat template, line {line}: {JinjaValue.Kind(target(scope))} is called like a function");
            }
            else
            {
                return value;
            }
        }
    }

    private JinjaExpression ReadIndex(JinjaExpression target)
    {
        JinjaExpression? Part() => IsOperator(":") || IsOperator("]") ? null : ReadExpression();
        var first = Part();
        if (TakeOperator("]"))
        {
            return scope => JinjaOperators.Index(target(scope), first!(scope));
        }

        Expect(":");
        var second = Part();
        var third = TakeOperator(":") ? Part() : null;
        Expect("]");
        return scope =>
            JinjaOperators.Slice(target(scope), first?.Invoke(scope), second?.Invoke(scope), third?.Invoke(scope));
    }

    private Func<JinjaScope, JinjaCallable, object?> ReadArguments()
    {
        var (positional, named) = (new List<JinjaExpression>(), new List<(string Name, JinjaExpression Value)>());
        Expect("(");
        while (!TakeOperator(")"))
        {
            if (Current.Kind == JinjaKind.Name && tokens[At + 1] is { Kind: JinjaKind.Operator, Text: "=" })
            {
                var name = Take().Text;
                At++;
                named.Add((name, ReadExpression()));
            }
            else
            {
                positional.Add(ReadExpression());
            }

            if (!IsOperator(")"))
            {
                Expect(",");
            }
        }

        return (scope, callable) => callable(
            [.. positional.Select(argument => argument(scope))],
            named.ToDictionary(argument => argument.Name, argument => argument.Value(scope)));
    }

    private JinjaExpression ReadFilters(JinjaExpression value)
    {
        while (true)
        {
            var target = value;
            if (TakeOperator("|"))
            {
                var name = ExpectName();
                value = ReadFilter(target, name);
            }
            else if (TakeName("is"))
            {
                value = ReadTest(target);
            }
            else if (IsOperator("("))
            {
                value = ReadPostfix(target);
            }
            else
            {
                return value;
            }
        }
    }

    private JinjaExpression ReadFilter(JinjaExpression target, string name)
    {
        var filter = JinjaFilters.Find(name)
            ?? throw new ChatTemplateException(
                $"chat template, line {Current.Line}: the filter '{name}' is not supported.");
        if (!IsOperator("("))
        {
            return scope => filter([target(scope)], JinjaFilters.NoNames);
        }

        var arguments = ReadArguments();
        return scope => arguments(scope, (positional, named) => filter([target(scope), .. positional], named));
    }

    private JinjaExpression ReadTest(JinjaExpression target)
    {
        var negate = TakeName("not");
        var line = Current.Line;
        var name = ExpectName();
        var test = JinjaTests.Find(name)
            ?? throw new ChatTemplateException($"chat template, line {line}: the test '{name}' is not supported.");
        var arguments = new List<JinjaExpression>();
        if (TakeOperator("("))
        {
            arguments = ReadItems(")");
        }
        else if (Current.Kind is JinjaKind.String or JinjaKind.Integer or JinjaKind.Float
            || (Current.Kind == JinjaKind.Name && !NotATestArgument.Contains(Current.Text)))
        {
            arguments.Add(ReadPostfix(ReadPrimary()));
        }

        return scope => test(target(scope), [.. arguments.Select(argument => argument(scope))]) != negate;
    }
}
