using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// A byte-level BPE tokenizer from a Hugging Face folder, with the ids of the reference library: added tokens are cut
/// out, the rest is normalised, split by the family's expression and merged. Safe to share between threads.
/// </summary>
public sealed class HfTokenizer
{
    private readonly TokenizerFile _file;
    private readonly BytePairModel _model;
    private readonly AddedTokens? _rawTokens;
    private readonly AddedTokens? _normalizedTokens;
    private readonly string?[] _tokens;
    private readonly byte[]?[] _bytes;
    private readonly bool[] _special;
    private readonly Dictionary<string, int> _addedIds;
    private readonly Dictionary<string, string> _specialTokens;
    private PieceCache? _cache;

    private HfTokenizer(
        TokenizerFile file, string path, Dictionary<string, string> specialTokens, string? template, string hash)
    {
        _file = file;
        _specialTokens = specialTokens;
        ChatTemplateText = template;
        ContentHash = hash;
        var highest = Math.Max(file.Vocabulary.Values.DefaultIfEmpty(-1).Max(),
            file.Added.Select(t => t.Id).DefaultIfEmpty(-1).Max());
        VocabularySize = highest + 1;
        _tokens = new string?[VocabularySize];
        _bytes = new byte[]?[VocabularySize];
        _special = new bool[VocabularySize];
        foreach (var (token, id) in file.Vocabulary)
        {
            _tokens[id] = token;
        }

        _addedIds = [];
        foreach (var token in file.Added)
        {
            if (file.Vocabulary.TryGetValue(token.Content, out var known) && known != token.Id)
            {
                throw new TokenizerException(
                    $"{path}: added token '{token.Content}' has id {token.Id}, but model.vocab gives it {known}.");
            }

            _addedIds[token.Content] = token.Id;
            _tokens[token.Id] = token.Content;
            _bytes[token.Id] = Encoding.UTF8.GetBytes(token.Content);
            _special[token.Id] = token.Special;
        }

        var raw = file.Added.Where(token => !token.Normalized).ToList();
        var normalized = file.Added.Where(token => token.Normalized).Select(token => file.NormalizesToNfc
            ? token with { Content = NfcNormalizer.Normalize(token.Content) }
            : token).ToList();
        _rawTokens = raw.Count > 0 ? new AddedTokens(raw) : null;
        _normalizedTokens = normalized.Count > 0 ? new AddedTokens(normalized) : null;

        var byteIds = new int[256];
        for (var b = 0; b < 256; b++)
        {
            if (!file.Vocabulary.TryGetValue(ByteAlphabet.ToChar((byte)b).ToString(), out byteIds[b]))
            {
                throw new TokenizerException(
                    $"{path}: model.vocab has no token for byte 0x{b:X2}; a byte-level vocabulary needs all 256.");
            }
        }

        _model = new BytePairModel(byteIds, file.Merges, file.IgnoresMerges ? file.Vocabulary : null);
    }

    private HfTokenizer(HfTokenizer other, Dictionary<string, string> specialTokens, string hash)
    {
        (_file, _model, _rawTokens, _normalizedTokens) =
            (other._file, other._model, other._rawTokens, other._normalizedTokens);
        (_tokens, _bytes, _special, _addedIds) = (other._tokens, other._bytes, other._special, other._addedIds);
        (_specialTokens, ChatTemplateText, ContentHash, VocabularySize) =
            (specialTokens, other.ChatTemplateText, hash, other.VocabularySize);
    }

    /// <summary>End-of-sequence id, or null when the folder names none.</summary>
    public int? EosId => SpecialId("eos_token");

    /// <summary>Beginning-of-sequence id, or null.</summary>
    public int? BosId => SpecialId("bos_token");

    /// <summary>Padding id, or null; padding is masked by position, never by this id.</summary>
    public int? PadId => SpecialId("pad_token");

    /// <summary>Highest id plus one, added tokens included.</summary>
    public int VocabularySize { get; }

    /// <summary>Lower-case hexadecimal SHA-256 over the tokenizer's files and overridden special tokens.</summary>
    public string ContentHash { get; }

    /// <summary>The folder's Jinja chat template, or null. The side file wins over
    /// <c>tokenizer_config.json</c>.</summary>
    public string? ChatTemplateText { get; }

    /// <summary>Text of the special tokens by role: <c>bos_token</c>, <c>eos_token</c>, <c>pad_token</c>,
    /// <c>unk_token</c>.</summary>
    public IReadOnlyDictionary<string, string> SpecialTokens => _specialTokens;

    /// <summary>Reads <c>tokenizer.json</c> and, where present, <c>tokenizer_config.json</c> and
    /// <c>chat_template.jinja</c>.</summary>
    /// <param name="folder">Model or tokenizer folder.</param>
    /// <exception cref="TokenizerException">A file is missing or malformed, or a component is not
    /// supported.</exception>
    public static HfTokenizer Load(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        var path = Path.Combine(folder, "tokenizer.json");
        if (!File.Exists(path))
        {
            var found = Directory.Exists(folder)
                ? "the folder has " + string.Join(", ",
                    Directory.EnumerateFiles(folder).Select(Path.GetFileName).Order().Take(12))
                : "the folder does not exist";
            throw new TokenizerException(
                $"{path}: not found ({found}). A tokenizer needs tokenizer.json; "
                + "set tokenizer_config to a folder that has it.");
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Seen(string name, byte[] bytes)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{name}:{bytes.Length}\n"));
            hash.AppendData(bytes);
        }

        var json = File.ReadAllBytes(path);
        Seen("tokenizer.json", json);
        var settings = TokenizerSettings.Load(folder, Seen);
        var file = TokenizerFile.Parse(path, json);
        return new HfTokenizer(
            file, path, settings.SpecialTokens, settings.ChatTemplate,
                Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>The same tokenizer with other special tokens, which must be in the vocabulary already.</summary>
    /// <param name="overrides">Text by role, e.g. <c>eos_token</c>.</param>
    /// <exception cref="TokenizerException">The vocabulary lacks a token.</exception>
    public HfTokenizer WithSpecialTokens(IReadOnlyDictionary<string, string> overrides)
    {
        ArgumentNullException.ThrowIfNull(overrides);
        if (overrides.Count == 0)
        {
            return this;
        }

        var merged = new Dictionary<string, string>(_specialTokens);
        foreach (var (role, token) in overrides)
        {
            if (TokenToId(token) is null)
            {
                throw new TokenizerException(
                    $"special_tokens.{role} is '{token}', which the tokenizer does not have. "
                    + "New tokens would need new embedding rows; name a token of the vocabulary.");
            }

            merged[role] = token;
        }

        var text = string.Join('\n', merged.Order().Select(pair => $"{pair.Key}={pair.Value}"));
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(ContentHash + "\n" + text));
        return new HfTokenizer(this, merged, Convert.ToHexStringLower(hash));
    }

    /// <summary>Ids of a text; added tokens in it are recognised.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="addSpecialTokens">Put the post-processor's tokens around it (Llama 3: BOS; Qwen: none).</param>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        var buffer = new TokenBuffer();
        Encode(text, buffer, addSpecialTokens);
        return buffer.Ids.ToArray();
    }

    /// <summary>Appends the ids of a text; allocates nothing once <paramref name="output"/> has grown.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="output">Receives the ids.</param>
    /// <param name="addSpecialTokens">Put the post-processor's tokens around it.</param>
    public void Encode(ReadOnlySpan<char> text, TokenBuffer output, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(output);
        var cache = Interlocked.Exchange(ref _cache, null) ?? new PieceCache();
        if (addSpecialTokens)
        {
            output.Add(_file.Template.Before);
        }

        if (_rawTokens is null)
        {
            EncodeRaw(text, output, cache);
        }
        else
        {
            var (from, done) = (0, 0);
            while (_rawTokens.Next(text, ref from, done, out var start, out var end) is { } token)
            {
                EncodeRaw(text[done..Math.Max(done, start)], output, cache);
                output.Add(token.Id);
                done = end;
            }

            EncodeRaw(text[done..], output, cache);
        }

        if (addSpecialTokens)
        {
            output.Add(_file.Template.After);
        }

        _cache = cache;
    }

    /// <summary>Text of a run of ids; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Token ids; an id without a token is left out.</param>
    /// <param name="skipSpecial">Leave special tokens out.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial)
    {
        var bytes = new ArrayBufferWriter<byte>(ids.Length * 4 + 16);
        foreach (var id in ids)
        {
            if ((uint)id < (uint)VocabularySize && !(skipSpecial && _special[id]))
            {
                bytes.Write(BytesOf(id));
            }
        }

        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>UTF-8 bytes of one token; may be part of a character.</summary>
    /// <param name="id">Token id below <see cref="VocabularySize"/>.</param>
    public ReadOnlySpan<byte> BytesOf(int id)
    {
        if (_bytes[id] is { } known)
        {
            return known;
        }

        var token = _tokens[id];
        return _bytes[id] = token is null ? [] : ByteAlphabet.ToBytes(token) ?? Encoding.UTF8.GetBytes(token);
    }

    /// <summary>Id of an added token's text or of a vocabulary entry in byte-level spelling, or null.</summary>
    /// <param name="token">Token.</param>
    public int? TokenToId(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return _addedIds.TryGetValue(token, out var id) || _file.Vocabulary.TryGetValue(token, out id) ? id : null;
    }

    /// <summary>Added token's text or vocabulary entry in byte-level spelling, or null when the id is free.</summary>
    /// <param name="id">Token id.</param>
    public string? IdToToken(int id) => (uint)id < (uint)VocabularySize ? _tokens[id] : null;

    /// <summary>Whether an id is a special token.</summary>
    /// <param name="id">Token id.</param>
    public bool IsSpecial(int id) => (uint)id < (uint)VocabularySize && _special[id];

    private int? SpecialId(string role) => _specialTokens.TryGetValue(role, out var token) ? TokenToId(token) : null;

    private void EncodeRaw(ReadOnlySpan<char> text, TokenBuffer output, PieceCache cache)
    {
        if (text.IsEmpty)
        {
            return;
        }

        if (_file.NormalizesToNfc && !NfcNormalizer.IsQuicklyNormal(text))
        {
            text = NfcNormalizer.Normalize(text.ToString());
        }

        if (_normalizedTokens is null)
        {
            EncodeSection(text, output, cache);
            return;
        }

        var (from, done) = (0, 0);
        while (_normalizedTokens.Next(text, ref from, done, out var start, out var end) is { } token)
        {
            EncodeSection(text[done..Math.Max(done, start)], output, cache);
            output.Add(token.Id);
            done = end;
        }

        EncodeSection(text[done..], output, cache);
    }

    private void EncodeSection(ReadOnlySpan<char> text, TokenBuffer output, PieceCache cache)
    {
        if (text.IsEmpty)
        {
            return;
        }

        if (_file.AddsPrefixSpace && text[0] != ' ')
        {
            text = string.Concat(" ", text);
        }

        if (!_file.SplitsDigits)
        {
            EncodePieces(text, output, cache);
            return;
        }

        var done = 0;
        for (var at = 0; at < text.Length;)
        {
            var isNumber = PieceSplitter.IsNumber(text, at, out var length);
            if (isNumber)
            {
                EncodePieces(text[done..at], output, cache);
                EncodePieces(text.Slice(at, length), output, cache);
                done = at + length;
            }

            at += length;
        }

        EncodePieces(text[done..], output, cache);
    }

    private void EncodePieces(ReadOnlySpan<char> text, TokenBuffer output, PieceCache cache)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = PieceSplitter.End(_file.Pattern, text, start);
            var piece = text[start..end];
            start = end;
            var hash = PieceCache.Hash(piece);
            if (hash != 0 && cache.TryCopy(piece, hash, output))
            {
                continue;
            }

            var before = output.Count;
            _model.Encode(piece, output);
            if (hash != 0)
            {
                cache.Keep(piece, hash, output.Ids[before..]);
            }
        }
    }
}
