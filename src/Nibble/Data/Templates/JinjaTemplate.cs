using System.Globalization;
using System.Text;
using Nibble.Data.Templates.Jinja;

namespace Nibble.Data.Templates;

/// <summary>A template in the Jinja subset that chat templates use.</summary>
internal sealed class JinjaTemplate : ChatTemplate
{
    private readonly JinjaStatement _body;
    private readonly IReadOnlyDictionary<string, string> _specialTokens;
    private readonly TimeProvider _time;

    public JinjaTemplate(
        string name, string source, IReadOnlyDictionary<string, string> specialTokens, TimeProvider? time = null)
    {
        (Name, _specialTokens, _time) = (name, specialTokens, time ?? TimeProvider.System);
        _body = Guarded(() => JinjaParser.Parse(source));
    }

    /// <inheritdoc/>
    public override string Name { get; }

    /// <inheritdoc/>
    public override string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt) =>
        Render([.. messages.Select(ToValue)], addGenerationPrompt, new Dictionary<string, object?>());

    /// <summary>Renders with more variables.</summary>
    /// <param name="messages">Turns as mappings.</param>
    /// <param name="addGenerationPrompt">End with the opening of an assistant turn.</param>
    /// <param name="variables">Others, e.g. <c>tools</c>, <c>enable_thinking</c>.</param>
    internal string Render(
        List<object?> messages, bool addGenerationPrompt, IReadOnlyDictionary<string, object?> variables)
    {
        var scope = new JinjaScope(null);
        foreach (var (role, token) in _specialTokens)
        {
            scope.Set(role, token);
        }

        scope.Set("messages", messages);
        scope.Set("tools", null);
        scope.Set("documents", null);
        scope.Set("add_generation_prompt", addGenerationPrompt);
        foreach (var (name, value) in variables)
        {
            scope.Set(name, value);
        }

        scope.Set("raise_exception", (JinjaCallable)((arguments, _) => throw new ChatTemplateException(
            $"the template refuses the conversation: {JinjaValue.Print(arguments[0])}")));
        scope.Set("strftime_now", (JinjaCallable)((arguments, _) => Format(JinjaValue.Print(arguments[0]))));
        scope.Set("namespace", (JinjaCallable)((_, named) =>
        {
            var space = new JinjaNamespace();
            foreach (var (name, value) in named)
            {
                space.Values[name] = value;
            }

            return space;
        }));
        scope.Set("range", (JinjaCallable)((arguments, _) => Range(arguments)));
        scope.Set("dict", (JinjaCallable)((_, named) => new Dictionary<string, object?>(named)));
        return Guarded(() =>
        {
            var output = new StringBuilder();
            _body(scope, output);
            return output.ToString();
        });
    }

    private static Dictionary<string, object?> ToValue(ChatMessage message)
    {
        var value = new Dictionary<string, object?> { ["role"] = message.Role, ["content"] = message.Content };
        foreach (var (name, property) in message.Properties)
        {
            value[name] = property;
        }

        return value;
    }

    private static List<object?> Range(IReadOnlyList<object?> arguments)
    {
        var start = arguments.Count > 1 ? JinjaValue.Integer(arguments[0]) : 0;
        var stop = JinjaValue.Integer(arguments[arguments.Count > 1 ? 1 : 0]);
        var step = arguments.Count > 2 ? JinjaValue.Integer(arguments[2]) : 1;
        var most = step == 0 ? 0 : (stop - start) / step;
        // The sandbox of the reference has the same limit.
        if (step == 0 || most > 100_000)
        {
            throw new ChatTemplateException("chat template: range is too large or has step 0.");
        }

        var items = new List<object?>();
        for (var at = start; step > 0 ? at < stop : at > stop; at += step)
        {
            items.Add(at);
        }

        return items;
    }

    private string Format(string pattern)
    {
        var now = _time.GetLocalNow();
        var text = new StringBuilder();
        for (var i = 0; i < pattern.Length; i++)
        {
            if (pattern[i] != '%' || i + 1 == pattern.Length)
            {
                text.Append(pattern[i]);
                continue;
            }

            var form = pattern[++i] switch
            {
                'd' => "dd",
                'm' => "MM",
                'b' => "MMM",
                'B' => "MMMM",
                'Y' => "yyyy",
                'y' => "yy",
                'H' => "HH",
                'M' => "mm",
                'S' => "ss",
                'A' => "dddd",
                'a' => "ddd",
                '%' => "'%'",
                _ => throw new ChatTemplateException(
                    $"chat template: strftime_now('{pattern}') uses %{pattern[i]}, which is not supported."),
            };
            text.Append(now.ToString(form, CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }

    private T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (ChatTemplateException error)
        {
            throw new ChatTemplateException(
                $"{Name}: {error.Message} If the template itself is at fault, set chat_template: "
                + "chatml or give another one in chat_template_jinja.",
                error);
        }
        catch (Exception error) when (error is ArgumentException or InvalidCastException or OverflowException)
        {
            throw new ChatTemplateException($"{Name}: the template asks for something impossible: {error.Message}",
                error);
        }
    }
}
