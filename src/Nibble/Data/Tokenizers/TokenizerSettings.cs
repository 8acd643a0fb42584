using System.Text.Json;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// The parts of <c>tokenizer_config.json</c> and <c>chat_template.jinja</c> that matter for training: special tokens
/// and
/// the chat template. Both files may be absent.
/// </summary>
internal sealed class TokenizerSettings
{
    private static readonly string[] Roles = ["bos_token", "eos_token", "pad_token", "unk_token"];

    public Dictionary<string, string> SpecialTokens { get; } = [];

    /// <summary>Jinja text, or null.</summary>
    public string? ChatTemplate { get; private set; }

    /// <summary>Reads what is there.</summary>
    /// <param name="folder">Tokenizer folder.</param>
    /// <param name="seen">Receives name and bytes of every file read.</param>
    public static TokenizerSettings Load(string folder, Action<string, byte[]> seen)
    {
        var settings = new TokenizerSettings();
        var path = Path.Combine(folder, "tokenizer_config.json");
        if (File.Exists(path))
        {
            var bytes = File.ReadAllBytes(path);
            seen("tokenizer_config.json", bytes);
            try
            {
                using var document = JsonDocument.Parse(bytes);
                settings.Read(document.RootElement);
            }
            catch (JsonException error)
            {
                throw new TokenizerException($"{path}: not valid JSON: {error.Message}", error);
            }
        }

        path = Path.Combine(folder, "chat_template.jinja");
        if (File.Exists(path))
        {
            var bytes = File.ReadAllBytes(path);
            seen("chat_template.jinja", bytes);
            settings.ChatTemplate = System.Text.Encoding.UTF8.GetString(bytes);
        }

        return settings;
    }

    private void Read(JsonElement root)
    {
        foreach (var role in Roles)
        {
            if (!root.TryGetProperty(role, out var token))
            {
                continue;
            }

            var content = token.ValueKind == JsonValueKind.Object && token.TryGetProperty("content", out var inner)
                ? inner
                : token;
            if (content.ValueKind == JsonValueKind.String)
            {
                SpecialTokens[role] = content.GetString()!;
            }
        }

        if (!root.TryGetProperty("chat_template", out var template))
        {
            return;
        }

        if (template.ValueKind == JsonValueKind.String)
        {
            ChatTemplate = template.GetString();
        }
        else if (template.ValueKind == JsonValueKind.Array)
        {
            foreach (var named in template.EnumerateArray())
            {
                if (named.TryGetProperty("name", out var name) && name.ValueEquals("default"))
                {
                    ChatTemplate = named.GetProperty("template").GetString();
                }
            }
        }
    }
}
