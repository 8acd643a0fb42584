using System.Text;

namespace Nibble.Data.Templates;

/// <summary>ChatML: <c>&lt;|im_start|&gt;role\ncontent&lt;|im_end|&gt;\n</c> for every turn, nothing trimmed, nothing
/// added.</summary>
internal sealed class ChatMlTemplate : ChatTemplate
{
    /// <inheritdoc/>
    public override string Name => "chatml";

    /// <inheritdoc/>
    public override string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        var text = new StringBuilder();
        foreach (var message in messages)
        {
            if (message.Properties.ContainsKey("tool_calls"))
            {
                throw new ChatTemplateException(
                    "chat_template: chatml cannot show tool calls; use tokenizer_default or chat_template_jinja.");
            }

            text.Append("<|im_start|>").Append(message.Role).Append('\n').Append(message.Content)
                .Append("<|im_end|>\n");
        }

        return (addGenerationPrompt ? text.Append("<|im_start|>assistant\n") : text).ToString();
    }
}
