using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Nibble.Tensors;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// A trained byte-level BPE vocabulary: 256 bytes, what merges made, then <see cref="BpeTrainer.SpecialTokens"/>.
/// </summary>
public sealed class BpeVocabulary
{
    /// <summary>The ChatML turns, as <c>chat_template: chatml</c> renders them.</summary>
    private const string ChatTemplate =
        "{%- for turn in messages %}"
        + "{{- '<|im_start|>' + turn.role + '\\n' + turn.content + '<|im_end|>\\n' }}"
        + "{%- endfor %}"
        + "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

    private static readonly JsonWriterOptions Layout = new()
    {
        Indented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    internal BpeVocabulary(IReadOnlyList<byte[]> entries, IReadOnlyList<(int Left, int Right)> merges) =>
        (Entries, Merges) = (entries, merges);

    /// <summary>Bytes of each entry by id, special tokens left out.</summary>
    public IReadOnlyList<byte[]> Entries { get; }

    /// <summary>Pairs of ids in order of rank; what a pair becomes is the entry with the bytes of both.</summary>
    public IReadOnlyList<(int Left, int Right)> Merges { get; }

    /// <summary>Ids in all, special tokens included.</summary>
    public int Count => Entries.Count + BpeTrainer.SpecialTokens.Count;

    /// <summary>Id of a special token, or of the entry with the UTF-8 bytes of a text, or null.</summary>
    /// <param name="token">Text.</param>
    public int? IdOf(string token)
    {
        for (var i = 0; i < BpeTrainer.SpecialTokens.Count; i++)
        {
            if (BpeTrainer.SpecialTokens[i] == token)
            {
                return Entries.Count + i;
            }
        }

        var bytes = Encoding.UTF8.GetBytes(token);
        for (var id = 0; id < Entries.Count; id++)
        {
            if (bytes.AsSpan().SequenceEqual(Entries[id]))
            {
                return id;
            }
        }

        return null;
    }

    /// <summary>
    /// Writes <c>tokenizer.json</c> and <c>tokenizer_config.json</c> with the components of Qwen2.5's, which
    /// <see cref="HfTokenizer.Load"/> and transformers read: <c>&lt;|im_end|&gt;</c> ends a text,
    /// <c>&lt;|endoftext|&gt;</c> pads.
    /// </summary>
    /// <param name="folder">Folder, made when absent.</param>
    /// <param name="overwrite">Replace a tokenizer that is there.</param>
    /// <exception cref="TokenizerException">The folder has a tokenizer.</exception>
    /// <exception cref="StorageException">A file cannot be written.</exception>
    public void Save(string folder, bool overwrite = false)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        var path = Path.Combine(folder, "tokenizer.json");
        if (!overwrite && File.Exists(path))
        {
            throw new TokenizerException(
                $"{path}: expected no tokenizer there, found one. "
                + "Choose another folder, or ask for it to be replaced.");
        }

        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(folder, e);
        }

        AtomicFile.WriteAllBytes(Path.Combine(folder, "tokenizer_config.json"), Json(WriteSettings));
        AtomicFile.WriteAllBytes(path, Json(WriteTokenizer));
    }

    /// <summary>An entry in the printable stand-ins of its bytes.</summary>
    internal static string Spell(byte[] entry) => string.Create(entry.Length, entry, (text, bytes) =>
    {
        for (var i = 0; i < text.Length; i++)
        {
            text[i] = ByteAlphabet.ToChar(bytes[i]);
        }
    });

    private static byte[] Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Layout))
        {
            write(writer);
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private void WriteTokenizer(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        json.WriteStartArray("added_tokens");
        for (var i = 0; i < BpeTrainer.SpecialTokens.Count; i++)
        {
            json.WriteStartObject();
            json.WriteNumber("id", Entries.Count + i);
            WriteAddedToken(json, BpeTrainer.SpecialTokens[i]);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartObject("normalizer");
        json.WriteString("type", "NFC");
        json.WriteEndObject();
        json.WriteStartObject("pre_tokenizer");
        json.WriteString("type", "Sequence");
        json.WriteStartArray("pretokenizers");
        json.WriteStartObject();
        json.WriteString("type", "Split");
        json.WriteStartObject("pattern");
        json.WriteString("Regex", PieceSplitter.Qwen2Expression);
        json.WriteEndObject();
        json.WriteString("behavior", "Isolated");
        json.WriteBoolean("invert", false);
        json.WriteEndObject();
        json.WriteStartObject();
        WriteByteLevel(json);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartObject("post_processor");
        WriteByteLevel(json);
        json.WriteEndObject();
        json.WriteStartObject("decoder");
        WriteByteLevel(json);
        json.WriteEndObject();
        WriteModel(json);
        json.WriteEndObject();
    }

    private void WriteModel(Utf8JsonWriter json)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        json.WriteNull("unk_token");
        json.WriteString("continuing_subword_prefix", "");
        json.WriteString("end_of_word_suffix", "");
        json.WriteBoolean("fuse_unk", false);
        json.WriteBoolean("byte_fallback", false);
        json.WriteBoolean("ignore_merges", false);
        json.WriteStartObject("vocab");
        for (var id = 0; id < Entries.Count; id++)
        {
            json.WriteNumber(Spell(Entries[id]), id);
        }

        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach (var (left, right) in Merges)
        {
            // Pairs of names, as newer files have them, each on one line.
            json.WriteRawValue($"[{Quote(Spell(Entries[left]))}, {Quote(Spell(Entries[right]))}]");
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteSettings(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteBoolean("add_bos_token", false);
        json.WriteBoolean("add_prefix_space", false);
        json.WriteStartObject("added_tokens_decoder");
        for (var i = 0; i < BpeTrainer.SpecialTokens.Count; i++)
        {
            json.WriteStartObject((Entries.Count + i).ToString(CultureInfo.InvariantCulture));
            WriteAddedToken(json, BpeTrainer.SpecialTokens[i]);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteStartArray("additional_special_tokens");
        json.WriteStringValue(BpeTrainer.TurnStart);
        json.WriteStringValue(BpeTrainer.TurnEnd);
        json.WriteEndArray();
        json.WriteNull("bos_token");
        json.WriteString("chat_template", ChatTemplate);
        json.WriteBoolean("clean_up_tokenization_spaces", false);
        json.WriteString("eos_token", BpeTrainer.TurnEnd);
        json.WriteString("errors", "replace");
        json.WriteString("pad_token", BpeTrainer.EndOfText);
        json.WriteBoolean("split_special_tokens", false);
        json.WriteString("tokenizer_class", "Qwen2Tokenizer");
        json.WriteNull("unk_token");
        json.WriteEndObject();
    }

    private static void WriteAddedToken(Utf8JsonWriter json, string content)
    {
        json.WriteString("content", content);
        json.WriteBoolean("single_word", false);
        json.WriteBoolean("lstrip", false);
        json.WriteBoolean("rstrip", false);
        json.WriteBoolean("normalized", false);
        json.WriteBoolean("special", true);
    }

    private static void WriteByteLevel(Utf8JsonWriter json)
    {
        json.WriteString("type", "ByteLevel");
        json.WriteBoolean("add_prefix_space", false);
        json.WriteBoolean("trim_offsets", false);
        json.WriteBoolean("use_regex", false);
    }

    private static string Quote(string text) => $"\"{JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text)}\"";
}
