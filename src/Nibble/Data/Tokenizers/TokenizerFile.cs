using System.Text.Json;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// <c>tokenizer.json</c>, read and checked: every component is either understood exactly or refused by name.
/// Source: <c>huggingface/tokenizers tokenizers/src/tokenizer/serialization.rs</c>.
/// </summary>
internal sealed class TokenizerFile
{
    private readonly string _path;

    private TokenizerFile(string path) => _path = path;

    public bool NormalizesToNfc { get; private set; }

    public SplitPattern Pattern { get; private set; }

    public bool SplitsDigits { get; private set; }

    public bool AddsPrefixSpace { get; private set; }

    public List<AddedToken> Added { get; } = [];

    public Dictionary<string, int> Vocabulary { get; } = [];

    public List<(int Left, int Right, int Merged)> Merges { get; } = [];

    public bool IgnoresMerges { get; private set; }

    /// <summary>Ids put before and after a text when special tokens are asked for.</summary>
    public (int[] Before, int[] After) Template { get; private set; } = ([], []);

    public static TokenizerFile Parse(string path, ReadOnlyMemory<byte> json)
    {
        var file = new TokenizerFile(path);
        try
        {
            using var document = JsonDocument.Parse(json);
            file.Read(document.RootElement);
        }
        catch (JsonException error)
        {
            throw new TokenizerException($"{path}: not valid JSON: {error.Message}", error);
        }

        return file;
    }

    private void Read(JsonElement root)
    {
        foreach (var token in Child(root, "added_tokens") is { ValueKind: JsonValueKind.Array } list
            ? list.EnumerateArray()
            : default)
        {
            var content = Text(token, "content") ?? throw Bad("added_tokens[].content", "a string", token);
            if (!token.TryGetProperty("id", out var id) || !id.TryGetInt32(out var value) || value < 0)
            {
                throw Bad("added_tokens[].id", "a token id", token);
            }

            if (content.Length > 0)
            {
                Added.Add(new AddedToken(
                    value,
                    content,
                    Flag(token, "single_word"),
                    Flag(token, "lstrip"),
                    Flag(token, "rstrip"),
                    Flag(token, "normalized"),
                    Flag(token, "special")));
            }
        }

        ReadNormalizer(Child(root, "normalizer"));
        ReadPreTokenizer(Child(root, "pre_tokenizer"));
        ReadModel(Child(root, "model") ?? throw Bad("model", "a BPE model", root));
        ReadPostProcessor(Child(root, "post_processor"));
        if (Child(root, "decoder") is { } decoder && Type(decoder) != "ByteLevel")
        {
            throw Unsupported("decoder", Type(decoder), "ByteLevel");
        }
    }

    private void ReadNormalizer(JsonElement? normalizer)
    {
        if (normalizer is not { } node)
        {
            return;
        }

        switch (Type(node))
        {
            case "NFC":
                NormalizesToNfc = true;
                break;
            case "Sequence":
                foreach (var part in node.GetProperty("normalizers").EnumerateArray())
                {
                    ReadNormalizer(part);
                }

                break;
            default:
                throw Unsupported("normalizer", Type(node), "NFC or none");
        }
    }

    private void ReadPreTokenizer(JsonElement? preTokenizer)
    {
        if (preTokenizer is not { } node)
        {
            throw Unsupported("pre_tokenizer", "null", "ByteLevel");
        }

        var parts = Type(node) == "Sequence" ? [.. node.GetProperty("pretokenizers").EnumerateArray()] : new[] { node };
        var last = parts.Length > 0 ? parts[^1] : node;
        if (Type(last) != "ByteLevel")
        {
            throw Unsupported("pre_tokenizer", Type(last), "ByteLevel as its last step");
        }

        // The switch may be missing in old files, where it means yes.
        var splitsItself = !last.TryGetProperty("use_regex", out var use) || use.ValueKind != JsonValueKind.False;
        AddsPrefixSpace = Flag(last, "add_prefix_space");
        if (AddsPrefixSpace && parts.Length > 1)
        {
            throw Unsupported(
                "pre_tokenizer", "ByteLevel with add_prefix_space after another step", "add_prefix_space false");
        }

        var isSplit = false;
        foreach (var part in parts[..^1])
        {
            if (Type(part) == "Digits" && Flag(part, "individual_digits") && splitsItself)
            {
                SplitsDigits = true;
            }
            else if (Type(part) == "Split" && !splitsItself && !isSplit)
            {
                ReadSplit(part);
                isSplit = true;
            }
            else
            {
                throw Unsupported("pre_tokenizer", Type(part), "Split or Digits before ByteLevel");
            }
        }

        if (!splitsItself && !isSplit)
        {
            throw Unsupported("pre_tokenizer", "ByteLevel without any split", "a Split step, or use_regex true");
        }
    }

    private void ReadSplit(JsonElement split)
    {
        var expression = split.TryGetProperty("pattern", out var pattern) ? Text(pattern, "Regex") : null;
        if (Text(split, "behavior") != "Isolated" || Flag(split, "invert"))
        {
            throw Unsupported(
                "pre_tokenizer.Split", $"behavior {Text(split, "behavior")}", "behavior Isolated, not inverted");
        }

        Pattern = expression switch
        {
            PieceSplitter.Qwen2Expression => SplitPattern.Qwen2,
            PieceSplitter.Llama3Expression => SplitPattern.Llama3,
            PieceSplitter.Gpt2Expression => SplitPattern.Gpt2,
            _ => throw Unsupported(
                "pre_tokenizer.Split.pattern", expression ?? "none", "the Qwen2, Llama 3 or GPT-2 expression"),
        };
    }

    private void ReadModel(JsonElement model)
    {
        if (Type(model) is { } type and not "BPE")
        {
            throw Unsupported("model", type, "BPE");
        }

        foreach (var key in new[] { "dropout", "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (Child(model, key) is { } value && value.ToString() is not ("" or "0" or "0.0"))
            {
                throw Unsupported("model." + key, value.ToString(), "none");
            }
        }

        IgnoresMerges = Flag(model, "ignore_merges");
        foreach (var entry in model.GetProperty("vocab").EnumerateObject())
        {
            Vocabulary[entry.Name] = entry.Value.GetInt32();
        }

        var index = 0;
        foreach (var merge in model.GetProperty("merges").EnumerateArray())
        {
            string left, right;
            if (merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2)
            {
                (left, right) = (merge[0].GetString()!, merge[1].GetString()!);
            }
            else
            {
                var text = merge.ValueKind == JsonValueKind.String ? merge.GetString()! : string.Empty;
                if (text.StartsWith("#version", StringComparison.Ordinal))
                {
                    continue;
                }

                var space = text.IndexOf(' ');
                if (space <= 0 || space == text.Length - 1 || text.IndexOf(' ', space + 1) >= 0)
                {
                    throw Bad($"model.merges[{index}]", "two tokens", merge);
                }

                (left, right) = (text[..space], text[(space + 1)..]);
            }

            Merges.Add((IdOf(left, index), IdOf(right, index), IdOf(left + right, index)));
            index++;
        }
    }

    private void ReadPostProcessor(JsonElement? processor)
    {
        if (processor is not { } node)
        {
            return;
        }

        switch (Type(node))
        {
            case "ByteLevel":
                break;
            case "Sequence":
                foreach (var part in node.GetProperty("processors").EnumerateArray())
                {
                    ReadPostProcessor(part);
                }

                break;
            case "TemplateProcessing":
                ReadTemplate(node);
                break;
            default:
                throw Unsupported("post_processor", Type(node), "ByteLevel or TemplateProcessing");
        }
    }

    private void ReadTemplate(JsonElement node)
    {
        var (before, after) = (new List<int>(), new List<int>());
        var target = before;
        foreach (var piece in node.GetProperty("single").EnumerateArray())
        {
            if (piece.TryGetProperty("Sequence", out _))
            {
                target = after;
            }
            else
            {
                var name = piece.GetProperty("SpecialToken").GetProperty("id").GetString()!;
                var special = node.GetProperty("special_tokens").GetProperty(name);
                foreach (var id in special.GetProperty("ids").EnumerateArray())
                {
                    target.Add(id.GetInt32());
                }
            }
        }

        Template = ([.. before], [.. after]);
    }

    private int IdOf(string token, int merge) => Vocabulary.TryGetValue(token, out var id)
        ? id
        : throw new TokenizerException(
            $"{_path}: model.merges[{merge}] needs the token '{token}', which model.vocab does not have. "
            + "The file is damaged or was edited; take it from the model's repository again.");

    private static JsonElement? Child(JsonElement node, string name) =>
        node.ValueKind == JsonValueKind.Object && node.TryGetProperty(name, out var child)
            && child.ValueKind != JsonValueKind.Null
            ? child
            : null;

    private static string? Type(JsonElement node) => Text(node, "type");

    private static string? Text(JsonElement node, string name) =>
        Child(node, name) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    private static bool Flag(JsonElement node, string name) => Child(node, name) is { ValueKind: JsonValueKind.True };

    private TokenizerException Bad(string key, string expected, JsonElement found)
    {
        var text = found.ToString();
        return new TokenizerException(
            $"{_path}: {key} should be {expected}, found {(text.Length > 80 ? text[..80] + "…" : text)}.");
    }

    private TokenizerException Unsupported(string key, string? found, string expected) => new(
        $"{_path}: {key} is {found ?? "missing"}; "
        + $"this version reads byte-level BPE tokenizers only (expected {expected}). Models of the Qwen2, Qwen2.5, "
        + "Qwen3, Llama 3 and GPT-2 kind have such tokenizers.");
}
