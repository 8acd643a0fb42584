using Nibble.Config;
using Nibble.Data.Templates;
using Nibble.Data.Tokenizers;

namespace Nibble.Data.Formats;

/// <summary>Prompts in the form that training rows have, so that a model is asked as it was taught.</summary>
public static class PromptEncoder
{
    /// <summary>
    /// A prompt as the first training set's rows begin: its chat template up to the opening of an answer, the Alpaca
    /// prompt, or for other types the text as it is.
    /// </summary>
    /// <param name="data">Data options of the run.</param>
    /// <param name="tokenizer">Tokenizer with the run's special tokens.</param>
    /// <param name="messages">Turns, the last one the user's; types without turns take its text alone.</param>
    /// <returns>Token ids, [tokens].</returns>
    /// <exception cref="ChatTemplateException">The template is missing or refuses the conversation.</exception>
    public static int[] AsTrained(DataOptions data, HfTokenizer tokenizer, IReadOnlyList<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(messages);
        var dataset = data.Train.Count > 0 ? data.Train[0] : null;
        switch (dataset?.Type)
        {
            case "chat_template":
                return Chat(data, tokenizer, messages);
            case "alpaca":
                var ids = tokenizer.Encode(AlpacaFormat.Prompt(messages[^1].Content, input: null));
                return ids.Length > 0 && ids[^1] == tokenizer.EosId ? ids[..^1] : ids;
            default:
                return tokenizer.Encode(messages[^1].Content);
        }
    }

    /// <summary>A conversation through the run's chat template, up to the opening of an answer.</summary>
    /// <param name="data">Data options of the run.</param>
    /// <param name="tokenizer">Tokenizer with the run's special tokens.</param>
    /// <param name="messages">Turns; the run's default system message is put first where there is none.</param>
    /// <returns>Token ids, [tokens].</returns>
    /// <exception cref="ChatTemplateException">The template is missing or refuses the conversation.</exception>
    public static int[] Chat(DataOptions data, HfTokenizer tokenizer, IReadOnlyList<ChatMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(data);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(messages);
        var dataset = data.Train.FirstOrDefault(d => d.Type == "chat_template");
        var turns = data.DefaultSystemMessage is { } system && messages.Count > 0 && messages[0].Role != "system"
            ? [new ChatMessage("system", system), .. messages]
            : messages;
        var text = ChatTemplate.Create(data, dataset, tokenizer).Render(turns, addGenerationPrompt: true);
        return tokenizer.Encode(text, addSpecialTokens: false);
    }
}
