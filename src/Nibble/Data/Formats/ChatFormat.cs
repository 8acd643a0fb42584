using System.Text.Json;
using Nibble.Data.Sources;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Formats;

/// <summary>
/// <c>type: chat_template</c>: the conversation is rendered and encoded whole; the text of turns whose role trains,
/// and the
/// end token after it, get labels. Source: <c>axolotl-ai-cloud/axolotl
/// src/axolotl/prompt_strategies/chat_template.py</c>.
/// </summary>
internal sealed class ChatFormat : IRowFormat
{
    /// <summary>How far behind a turn's text its end token may stand.</summary>
    private const int EndTokenReach = 3;

    private readonly FormatContext _context;
    private readonly ChatTemplate _template;
    private readonly Dictionary<string, string> _roles = new()
    {
        ["human"] = "user",
        ["user"] = "user",
        ["gpt"] = "assistant",
        ["assistant"] = "assistant",
        ["system"] = "system",
        ["tool"] = "tool",
    };

    private readonly HashSet<int> _endTokens = [];
    private readonly TokenBuffer _buffer = new();

    public ChatFormat(FormatContext context)
    {
        _context = context;
        _template = ChatTemplate.Create(context.Data, context.Dataset, context.Tokenizer);
        foreach (var (role, aliases) in context.Dataset.Roles)
        {
            foreach (var alias in aliases)
            {
                _roles[alias] = role;
            }
        }

        foreach (var token in context.Data.EotTokens)
        {
            // Only tokens with one id can be looked for; others are named so that nobody believes they train.
            var ids = context.Tokenizer.Encode(token, addSpecialTokens: false);
            if (ids.Length == 1)
            {
                _endTokens.Add(ids[0]);
            }
            else
            {
                context.Warnings.Add($"eot_tokens: '{token}' is {ids.Length} tokens, not one, and cannot end a turn",
                    string.Empty);
            }
        }

        if (context.Tokenizer.EosId is { } eos)
        {
            _endTokens.Add(eos);
        }

        if (_endTokens.Count == 0)
        {
            throw new DatasetException(
                "type: chat_template trains the token that ends a turn, "
                + "but the tokenizer names no EOS and eot_tokens is empty. Set eot_tokens, "
                + "for ChatML: ['<|im_end|>'].");
        }

        Fields = [context.Dataset.FieldMessages];
    }

    public IReadOnlyCollection<string> Fields { get; }

    public void Tokenize(Row row, List<Sample> output)
    {
        var messages = ReadMessages(row);
        if (messages.Count == 0)
        {
            return;
        }

        string text;
        try
        {
            text = _template.Render(messages, addGenerationPrompt: false);
        }
        catch (ChatTemplateException error)
        {
            throw new DatasetException($"{row.Origin}: {error.Message}", error);
        }

        _buffer.Clear();
        _context.Tokenizer.Encode(text, _buffer, addSpecialTokens: false);
        var ids = _buffer.Ids.ToArray();
        output.Add(new Sample(ids, Label(messages, ids), row.Origin));
    }

    private int[] Label(List<ChatMessage> messages, int[] ids)
    {
        var labels = new int[ids.Length];
        Array.Fill(labels, Sample.Masked);
        var lastEnd = -1;
        for (var turn = 0; turn < messages.Count; turn++)
        {
            var message = messages[turn];
            var trains = message.Trains
                ?? (_context.Data.TrainOnInputs || _context.Dataset.RolesToTrain.Contains(message.Role));
            if (!trains && _context.Dataset.TrainOnEos is not ("all" or "last"))
            {
                continue;
            }

            var (start, end) = _template.FindTurn(messages, turn, ids, _context.Tokenizer);
            if (start >= end)
            {
                continue;
            }

            if (trains)
            {
                ids.AsSpan(start, end - start).CopyTo(labels.AsSpan(start));
            }

            var endToken = FindEnd(ids, end);
            lastEnd = endToken >= 0 ? endToken : lastEnd;
            if (endToken >= 0
                && (_context.Dataset.TrainOnEos == "all" || (_context.Dataset.TrainOnEos == "turn" && trains)))
            {
                labels[endToken] = ids[endToken];
            }
        }

        if (_context.Dataset.TrainOnEos == "last" && lastEnd >= 0)
        {
            labels[lastEnd] = ids[lastEnd];
        }

        return labels;
    }

    private int FindEnd(int[] ids, int from)
    {
        for (var at = from; at < Math.Min(ids.Length, from + EndTokenReach + 1); at++)
        {
            if (_endTokens.Contains(ids[at]))
            {
                return at;
            }
        }

        return -1;
    }

    private List<ChatMessage> ReadMessages(Row row)
    {
        var field = _context.Dataset.FieldMessages;
        var list = row.Require(field, "Set field_messages to the column that holds the conversation.");
        if (list.ValueKind != JsonValueKind.Array)
        {
            throw row.Wrong(field, "a list of messages", list);
        }

        var messages = new List<ChatMessage>();
        foreach (var element in list.EnumerateArray())
        {
            messages.Add(ReadMessage(row, $"{field}[{messages.Count}]", element));
        }

        if (_context.Data.DefaultSystemMessage is { } system && messages.Count > 0 && messages[0].Role != "system")
        {
            messages.Insert(0, new ChatMessage("system", system) { Trains = false });
        }

        return messages;
    }

    private ChatMessage ReadMessage(Row row, string place, JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw row.Wrong(place, "a message with role and content", element);
        }

        var names = _context.Dataset.MessageProperties;
        var (roleName, contentName) =
            (names.GetValueOrDefault("role", "role"), names.GetValueOrDefault("content", "content"));
        var properties = new Dictionary<string, object?>();
        string? role = null;
        string? content = null;
        bool? trains = null;
        foreach (var property in element.EnumerateObject())
        {
            if (property.NameEquals(roleName))
            {
                role = Text(property);
            }
            else if (property.NameEquals(contentName))
            {
                content = property.Value.ValueKind == JsonValueKind.Null ? string.Empty : Text(property);
            }
            else if (property.Name == _context.Dataset.MessageFieldTraining)
            {
                trains = property.Value.ValueKind switch
                {
                    JsonValueKind.True => true,
                    JsonValueKind.False => false,
                    JsonValueKind.Null => null,
                    _ => throw row.Wrong($"{place}.{property.Name}", "true or false", property.Value),
                };
            }
            else if (property.Value.ValueKind != JsonValueKind.Null)
            {
                properties[property.Name] = ToValue(property.Value);
            }
        }

        content ??= properties.ContainsKey("tool_calls") ? string.Empty : null;
        if (role is null || content is null)
        {
            throw new DatasetException(
                $"{row.Origin}: {place} has no '{(role is null ? roleName : contentName)}'; it has "
                + $"{string.Join(", ", element.EnumerateObject().Select(property => property.Name))}. "
                + "Name the row's own properties in message_property_mappings (ShareGPT: role: from, content: value).");
        }

        return new ChatMessage(_roles.GetValueOrDefault(role, role), content)
        {
            Trains = trains,
            Properties = properties,
        };

        string Text(JsonProperty property) => property.Value.ValueKind == JsonValueKind.String
            ? property.Value.GetString()!
            : throw row.Wrong($"{place}.{property.Name}", "a string", property.Value);
    }

    /// <summary>A JSON value as templates see it.</summary>
    internal static object? ToValue(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number => element.TryGetInt64(out var whole) ? (object)whole : element.GetDouble(),
        JsonValueKind.Array => element.EnumerateArray().Select(ToValue).ToList(),
        JsonValueKind.Object =>
            element.EnumerateObject().ToDictionary(property => property.Name, property => ToValue(property.Value)),
        _ => null,
    };
}
