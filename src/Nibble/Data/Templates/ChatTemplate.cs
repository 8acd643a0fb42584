using Nibble.Config;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Templates;

/// <summary>Turns a conversation into the text a model was trained on. Training and generation use the same
/// one.</summary>
public abstract class ChatTemplate
{
    /// <summary>Stands for a turn's text when its place is looked for; private use, so no real text begins with
    /// it.</summary>
    private const string Placeholder = "\uE000\uF8FF\uE001";

    /// <summary>Name for messages and reports.</summary>
    public abstract string Name { get; }

    /// <summary>The template that the config selects.</summary>
    /// <param name="data">Run-wide template, Jinja text, default system message.</param>
    /// <param name="dataset">Entry whose own template wins, or null.</param>
    /// <param name="tokenizer">Tokenizer with its own template and special tokens.</param>
    /// <exception cref="ChatTemplateException">The name is unknown, the tokenizer has no template, or its template
    /// cannot be
    /// read.</exception>
    public static ChatTemplate Create(DataOptions data, DatasetOptions? dataset, HfTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(tokenizer);
        var name = dataset?.ChatTemplate ?? data.ChatTemplate;
        if (dataset?.ChatTemplate is null && data.ChatTemplateJinja is { } text)
        {
            return new JinjaTemplate("chat_template_jinja", text, tokenizer.SpecialTokens);
        }

        switch (name)
        {
            case "chatml":
                return new ChatMlTemplate();
            case "jinja":
                return data.ChatTemplateJinja is { } jinja
                    ? new JinjaTemplate("chat_template_jinja", jinja, tokenizer.SpecialTokens)
                    : throw new ChatTemplateException(
                        "chat_template: jinja needs the template in chat_template_jinja.");
            case null or "tokenizer_default":
                return tokenizer.ChatTemplateText is { } own
                    ? new JinjaTemplate("the tokenizer's chat template", own, tokenizer.SpecialTokens)
                    : throw new ChatTemplateException(
                        "The tokenizer has no chat template (no chat_template.jinja, "
                        + "no chat_template in tokenizer_config.json). Set chat_template: chatml, "
                        + "or give one in chat_template_jinja.");
            default:
                throw new ChatTemplateException(
                    $"chat_template: '{name}' is not known. Known: tokenizer_default, chatml, "
                    + "jinja (with chat_template_jinja).");
        }
    }

    /// <summary>The text of a conversation.</summary>
    /// <param name="messages">Turns, at least one.</param>
    /// <param name="addGenerationPrompt">End with the opening of an assistant turn.</param>
    /// <exception cref="ChatTemplateException">The template refuses the conversation.</exception>
    public abstract string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt);

    /// <summary>
    /// The tokens of a conversation that hold the text of one turn, end exclusive; empty when the template shows none
    /// of it.
    /// Found by rendering once more with other text in that turn and comparing ids from both ends, as Axolotl does.
    /// </summary>
    /// <param name="messages">Turns.</param>
    /// <param name="turn">Index of the turn.</param>
    /// <param name="ids">Ids of the whole conversation as rendered.</param>
    /// <param name="tokenizer">Tokenizer that made them.</param>
    public (int Start, int End) FindTurn(
        IReadOnlyList<ChatMessage> messages, int turn, ReadOnlySpan<int> ids, HfTokenizer tokenizer)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ArgumentNullException.ThrowIfNull(tokenizer);
        if (messages[turn].Content.Length == 0)
        {
            return (0, 0);
        }

        var changed = messages.ToArray();
        changed[turn] = changed[turn] with { Content = Placeholder };
        var other = tokenizer.Encode(Render(changed, addGenerationPrompt: false), addSpecialTokens: false);
        var start = ids.CommonPrefixLength(other);
        var tail = 0;
        while (tail < Math.Min(ids.Length, other.Length) - start && ids[^(tail + 1)] == other[^(tail + 1)])
        {
            tail++;
        }

        return (start, ids.Length - tail);
    }
}
