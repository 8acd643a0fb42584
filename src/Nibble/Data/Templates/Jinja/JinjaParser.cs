using System.Text;

namespace Nibble.Data.Templates.Jinja;

/// <summary>What a statement tells the loop around it.</summary>
internal enum JinjaFlow
{
    /// <summary>Go on.</summary>
    Next,

    /// <summary>Leave the loop.</summary>
    Break,

    /// <summary>Take the next item.</summary>
    Continue,
}

/// <summary>Runs one statement.</summary>
/// <param name="scope">Names in reach.</param>
/// <param name="output">Receives text.</param>
internal delegate JinjaFlow JinjaStatement(JinjaScope scope, StringBuilder output);

/// <summary>Reads statements: text, output, if, for, set, macro, generation, break, continue.</summary>
internal sealed class JinjaParser : JinjaExpressionParser
{
    private JinjaParser(List<JinjaToken> tokens)
        : base(tokens)
    {
    }

    /// <summary>A whole template.</summary>
    /// <param name="source">Template text.</param>
    /// <exception cref="ChatTemplateException">It is not valid, or uses a tag, filter or test that is not
    /// supported.</exception>
    public static JinjaStatement Parse(string source)
    {
        var parser = new JinjaParser(JinjaLexer.Cut(source));
        var body = parser.ReadBody();
        return parser.Current.Kind == JinjaKind.End ? body : throw parser.Wrong("the end of the template");
    }

    private JinjaStatement ReadBody(params string[] ends)
    {
        var statements = new List<JinjaStatement>();
        while (Current.Kind != JinjaKind.End)
        {
            switch (Current.Kind)
            {
                case JinjaKind.Text:
                    var text = Take().Text;
                    statements.Add((_, output) =>
                    {
                        output.Append(text);
                        return JinjaFlow.Next;
                    });
                    break;
                case JinjaKind.OutputStart:
                    At++;
                    var value = ReadTuple();
                    Close(JinjaKind.OutputEnd);
                    statements.Add((scope, output) =>
                    {
                        output.Append(JinjaValue.Print(value(scope)));
                        return JinjaFlow.Next;
                    });
                    break;
                default:
                    At++;
                    if (Array.IndexOf(ends, Current.Text) >= 0)
                    {
                        return Sequence(statements);
                    }

                    statements.Add(ReadStatement());
                    break;
            }
        }

        return ends.Length == 0 ? Sequence(statements) : throw Wrong(string.Join(" or ", ends));
    }

    private static JinjaStatement Sequence(List<JinjaStatement> statements) => (scope, output) =>
    {
        foreach (var statement in statements)
        {
            if (statement(scope, output) is var flow and not JinjaFlow.Next)
            {
                return flow;
            }
        }

        return JinjaFlow.Next;
    };

    private void Close(JinjaKind kind)
    {
        if (Take().Kind != kind)
        {
            At--;
            throw Wrong("the end of the tag");
        }
    }

    private void CloseWith(string end)
    {
        if (!TakeName(end))
        {
            throw Wrong(end);
        }

        Close(JinjaKind.BlockEnd);
    }

    private JinjaStatement ReadStatement()
    {
        var keyword = Current;
        At++;
        switch (keyword.Text)
        {
            case "if":
                return ReadIf();
            case "for":
                return ReadFor();
            case "set":
                return ReadSet();
            case "macro":
                return ReadMacro();
            case "generation":
                Close(JinjaKind.BlockEnd);
                var body = ReadBody("endgeneration");
                CloseWith("endgeneration");
                return body;
            case "break" or "continue":
                Close(JinjaKind.BlockEnd);
                var flow = keyword.Text == "break" ? JinjaFlow.Break : JinjaFlow.Continue;
                return (_, _) => flow;
            default:
                At--;
                throw Wrong("if, for, set, macro, generation, break or continue");
        }
    }

    private JinjaStatement ReadIf()
    {
        var test = ReadExpression();
        Close(JinjaKind.BlockEnd);
        var then = ReadBody("elif", "else", "endif");
        JinjaStatement otherwise = (_, _) => JinjaFlow.Next;
        if (TakeName("elif"))
        {
            otherwise = ReadIf();
        }
        else
        {
            if (TakeName("else"))
            {
                Close(JinjaKind.BlockEnd);
                otherwise = ReadBody("endif");
            }

            CloseWith("endif");
        }

        return (scope, output) => JinjaValue.IsTrue(test(scope)) ? then(scope, output) : otherwise(scope, output);
    }

    private List<string> ReadTargets()
    {
        var bracket = TakeOperator("(");
        var names = new List<string> { ExpectName() };
        while (TakeOperator(","))
        {
            names.Add(ExpectName());
        }

        if (bracket)
        {
            Expect(")");
        }

        return names;
    }

    private JinjaStatement ReadFor()
    {
        var targets = ReadTargets();
        if (!TakeName("in"))
        {
            throw Wrong("in");
        }

        var sequence = ReadOr();
        var test = TakeName("if") ? ReadExpression() : null;
        Close(JinjaKind.BlockEnd);
        var body = ReadBody("else", "endfor");
        JinjaStatement? otherwise = null;
        if (TakeName("else"))
        {
            Close(JinjaKind.BlockEnd);
            otherwise = ReadBody("endfor");
        }

        CloseWith("endfor");
        return (scope, output) =>
        {
            var items = JinjaValue.Items(sequence(scope)).ToList();
            if (test is not null)
            {
                items = items.FindAll(item => JinjaValue.IsTrue(test(Bind(scope, targets, item))));
            }

            if (items.Count == 0)
            {
                return otherwise is null ? JinjaFlow.Next : otherwise(scope, output);
            }

            for (var i = 0; i < items.Count; i++)
            {
                var inner = Bind(scope, targets, items[i]);
                inner.Set("loop", Loop(items, i));
                if (body(inner, output) == JinjaFlow.Break)
                {
                    break;
                }
            }

            return JinjaFlow.Next;
        };
    }

    private static JinjaScope Bind(JinjaScope scope, List<string> targets, object? item)
    {
        var inner = new JinjaScope(scope);
        Assign(inner, targets, item);
        return inner;
    }

    private static void Assign(JinjaScope scope, List<string> targets, object? value)
    {
        if (targets.Count == 1)
        {
            scope.Set(targets[0], value);
            return;
        }

        var parts = JinjaValue.Items(value);
        if (parts.Count != targets.Count)
        {
            throw new ChatTemplateException($"chat template: {parts.Count} values for {targets.Count} names.");
        }

        for (var i = 0; i < targets.Count; i++)
        {
            scope.Set(targets[i], parts[i]);
        }
    }

    private static Dictionary<string, object?> Loop(List<object?> items, int at)
    {
        var loop = new Dictionary<string, object?>
        {
            ["index"] = at + 1L,
            ["index0"] = (long)at,
            ["revindex"] = (long)items.Count - at,
            ["revindex0"] = items.Count - at - 1L,
            ["first"] = at == 0,
            ["last"] = at == items.Count - 1,
            ["length"] = (long)items.Count,
            ["cycle"] = (JinjaCallable)((arguments, _) => arguments[at % arguments.Count]),
        };
        if (at > 0)
        {
            loop["previtem"] = items[at - 1];
        }

        if (at + 1 < items.Count)
        {
            loop["nextitem"] = items[at + 1];
        }

        return loop;
    }

    private JinjaStatement ReadSet()
    {
        var targets = ReadTargets();
        string? attribute = null;
        if (targets.Count == 1 && TakeOperator("."))
        {
            attribute = ExpectName();
        }

        if (Current.Kind == JinjaKind.BlockEnd)
        {
            Close(JinjaKind.BlockEnd);
            var body = ReadBody("endset");
            CloseWith("endset");
            return (scope, _) =>
            {
                var text = new StringBuilder();
                body(new JinjaScope(scope), text);
                return Store(scope, text.ToString());
            };
        }

        Expect("=");
        var value = ReadTuple();
        Close(JinjaKind.BlockEnd);
        return (scope, _) => Store(scope, value(scope));

        JinjaFlow Store(JinjaScope scope, object? stored)
        {
            if (attribute is null)
            {
                Assign(scope, targets, stored);
            }
            else if (scope.Find(targets[0]) is JinjaNamespace space)
            {
                space.Values[attribute] = stored;
            }
            else
            {
                throw new ChatTemplateException(
                    $"chat template: '{targets[0]}' is no namespace, so '.{attribute}' cannot be set.");
            }

            return JinjaFlow.Next;
        }
    }

    private JinjaStatement ReadMacro()
    {
        var name = ExpectName();
        var parameters = new List<(string Name, JinjaExpression? Default)>();
        Expect("(");
        while (!TakeOperator(")"))
        {
            var parameter = ExpectName();
            parameters.Add((parameter, TakeOperator("=") ? ReadExpression() : null));
            if (!IsOperator(")"))
            {
                Expect(",");
            }
        }

        Close(JinjaKind.BlockEnd);
        var body = ReadBody("endmacro");
        CloseWith("endmacro");
        return (scope, _) =>
        {
            scope.Set(name, (JinjaCallable)((arguments, named) =>
            {
                var inner = new JinjaScope(scope);
                for (var i = 0; i < parameters.Count; i++)
                {
                    var (parameter, missing) = parameters[i];
                    inner.Set(parameter, i < arguments.Count ? arguments[i]
                        : named.TryGetValue(parameter, out var given) ? given
                        : missing is null ? new JinjaUndefined(parameter) : missing(inner));
                }

                var text = new StringBuilder();
                body(inner, text);
                return text.ToString();
            }));
            return JinjaFlow.Next;
        };
    }
}
