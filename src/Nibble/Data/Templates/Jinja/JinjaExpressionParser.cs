using System.Globalization;

namespace Nibble.Data.Templates.Jinja;

/// <summary>Evaluates one expression.</summary>
/// <param name="scope">Names in reach.</param>
internal delegate object? JinjaExpression(JinjaScope scope);

/// <summary>Reads expressions. Precedence, loosest first: conditional, or, and, not, comparison, + -, ~, * / // %, **,
/// sign, then attribute, index, call, filter and test. Source: the Jinja documentation, "Expressions".</summary>
internal partial class JinjaExpressionParser(List<JinjaToken> tokens)
{
    private static readonly HashSet<string> NotATestArgument = ["else", "or", "and", "if", "is", "not", "in"];

    protected int At { get; set; }

    protected JinjaToken Current => tokens[At];

    /// <summary>A whole expression, possibly <c>a if b else c</c>.</summary>
    public JinjaExpression ReadExpression()
    {
        var value = ReadOr();
        while (TakeName("if"))
        {
            var (then, test) = (value, ReadOr());
            var other = TakeName("else") ? ReadExpression() : _ => new JinjaUndefined("the missing else");
            value = scope => JinjaValue.IsTrue(test(scope)) ? then(scope) : other(scope);
        }

        return value;
    }

    /// <summary>An expression or several with commas, which make a tuple.</summary>
    protected JinjaExpression ReadTuple()
    {
        var first = ReadExpression();
        if (!IsOperator(","))
        {
            return first;
        }

        var items = new List<JinjaExpression> { first };
        while (TakeOperator(",") && Current.Kind is not (JinjaKind.BlockEnd or JinjaKind.OutputEnd) && !IsOperator(")"))
        {
            items.Add(ReadExpression());
        }

        return scope => new JinjaTuple(items.Select(item => item(scope)));
    }

    protected JinjaExpression ReadOr()
    {
        var left = ReadAnd();
        while (TakeName("or"))
        {
            var (a, b) = (left, ReadAnd());
            left = scope => a(scope) is var value && JinjaValue.IsTrue(value) ? value : b(scope);
        }

        return left;
    }

    protected JinjaToken Take() => tokens[At++];

    protected bool IsOperator(string spelling) => Current.Kind == JinjaKind.Operator && Current.Text == spelling;

    protected bool IsName(string name) => Current.Kind == JinjaKind.Name && Current.Text == name;

    protected bool TakeOperator(string spelling)
    {
        var found = IsOperator(spelling);
        At += found ? 1 : 0;
        return found;
    }

    protected bool TakeName(string name)
    {
        var found = IsName(name);
        At += found ? 1 : 0;
        return found;
    }

    protected void Expect(string spelling)
    {
        if (!TakeOperator(spelling))
        {
            throw Wrong($"'{spelling}'");
        }
    }

    protected string ExpectName() => Current.Kind == JinjaKind.Name ? Take().Text : throw Wrong("a name");

    protected ChatTemplateException Wrong(string expected) =>
        new($"chat template, line {Current.Line}: expected {expected}, found '{Current.Text}'.");

    private JinjaExpression ReadAnd()
    {
        var left = ReadNot();
        while (TakeName("and"))
        {
            var (a, b) = (left, ReadNot());
            left = scope => a(scope) is var value && !JinjaValue.IsTrue(value) ? value : b(scope);
        }

        return left;
    }

    private JinjaExpression ReadNot()
    {
        if (!TakeName("not"))
        {
            return ReadComparison();
        }

        var inner = ReadNot();
        return scope => !JinjaValue.IsTrue(inner(scope));
    }

    private JinjaExpression ReadComparison()
    {
        var first = ReadSum();
        var steps = new List<(string Operation, JinjaExpression Right)>();
        while (true)
        {
            if (Current.Kind == JinjaKind.Operator
                && Current.Text is "==" or "!=" or "<" or ">" or "<=" or ">=" || IsName("in"))
            {
                steps.Add((Take().Text, ReadSum()));
            }
            else if (IsName("not") && tokens[At + 1] is { Kind: JinjaKind.Name, Text: "in" })
            {
                At += 2;
                steps.Add(("not in", ReadSum()));
            }
            else
            {
                break;
            }
        }

        if (steps.Count == 0)
        {
            return first;
        }

        return scope =>
        {
            var left = first(scope);
            foreach (var (operation, expression) in steps)
            {
                var right = expression(scope);
                if (!JinjaOperators.Compare(operation, left, right))
                {
                    return false;
                }

                left = right;
            }

            return true;
        };
    }

    private JinjaExpression ReadSum() => ReadChain(ReadConcatenation, "+", "-");

    private JinjaExpression ReadConcatenation() => ReadChain(ReadProduct, "~");

    private JinjaExpression ReadProduct() => ReadChain(ReadPower, "*", "/", "//", "%");

    private JinjaExpression ReadPower() => ReadChain(() => ReadSign(), "**");

    private JinjaExpression ReadChain(Func<JinjaExpression> operand, params string[] operations)
    {
        var left = operand();
        while (Current.Kind == JinjaKind.Operator && Array.IndexOf(operations, Current.Text) >= 0)
        {
            var (operation, a, b) = (Take().Text, left, operand());
            left = scope => JinjaOperators.Apply(operation, a(scope), b(scope));
        }

        return left;
    }

    private JinjaExpression ReadSign(bool withFilters = true)
    {
        JinjaExpression value;
        if (TakeOperator("-"))
        {
            var inner = ReadSign(withFilters: false);
            value = scope => JinjaOperators.Apply("-", 0L, inner(scope));
        }
        else if (TakeOperator("+"))
        {
            value = ReadSign(withFilters: false);
        }
        else
        {
            value = ReadPostfix(ReadPrimary());
        }

        return withFilters ? ReadFilters(value) : value;
    }

    private JinjaExpression ReadPrimary()
    {
        var token = Current;
        switch (token.Kind)
        {
            case JinjaKind.Name:
                At++;
                return token.Text switch
                {
                    "true" or "True" => _ => true,
                    "false" or "False" => _ => false,
                    "none" or "None" => _ => null,
                    _ => scope => scope.Find(token.Text),
                };
            case JinjaKind.String:
                var text = Take().Text;
                while (Current.Kind == JinjaKind.String)
                {
                    text += Take().Text;
                }

                return _ => text;
            case JinjaKind.Integer:
                At++;
                var whole =
                    long.Parse(token.Text.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
                return _ => whole;
            case JinjaKind.Float:
                At++;
                var number = double.Parse(token.Text, CultureInfo.InvariantCulture);
                return _ => number;
            case JinjaKind.Operator when token.Text == "(":
                At++;
                if (TakeOperator(")"))
                {
                    return _ => new JinjaTuple([]);
                }

                var inner = ReadTuple();
                Expect(")");
                return inner;
            case JinjaKind.Operator when token.Text == "[":
                At++;
                var items = ReadItems("]");
                return scope => items.Select(item => item(scope)).ToList();
            case JinjaKind.Operator when token.Text == "{":
                At++;
                return ReadMapping();
            default:
                throw Wrong("a value");
        }
    }

    private List<JinjaExpression> ReadItems(string close)
    {
        var items = new List<JinjaExpression>();
        while (!TakeOperator(close))
        {
            items.Add(ReadExpression());
            if (!IsOperator(close))
            {
                Expect(",");
            }
        }

        return items;
    }

    private JinjaExpression ReadMapping()
    {
        var pairs = new List<(JinjaExpression Key, JinjaExpression Value)>();
        while (!TakeOperator("}"))
        {
            var key = ReadExpression();
            Expect(":");
            pairs.Add((key, ReadExpression()));
            if (!IsOperator("}"))
            {
                Expect(",");
            }
        }

        return scope =>
        {
            var map = new Dictionary<string, object?>();
            foreach (var (key, value) in pairs)
            {
                map[JinjaValue.Print(key(scope))] = value(scope);
            }

            return map;
        };
    }
}
