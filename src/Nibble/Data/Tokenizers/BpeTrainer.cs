using System.Text;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// Trains a byte-level BPE vocabulary of the Qwen2 kind: NFC, Qwen2's pre-tokens, 256 bytes, then what merges make.
/// The same texts give the same vocabulary on every machine. Source: Sennrich et al. 2016, algorithm 1, over the bytes
/// of pre-tokens as in GPT-2.
/// </summary>
public static partial class BpeTrainer
{
    /// <summary>Smallest vocabulary: the 256 bytes and the special tokens.</summary>
    public const int SmallestVocabulary = 256 + 3;

    /// <summary>Ends a document and pads.</summary>
    public const string EndOfText = "<|endoftext|>";

    /// <summary>Starts a ChatML turn.</summary>
    public const string TurnStart = "<|im_start|>";

    /// <summary>Ends a ChatML turn, and the answer.</summary>
    public const string TurnEnd = "<|im_end|>";

    /// <summary>The added tokens, in the order of their ids after the vocabulary.</summary>
    public static IReadOnlyList<string> SpecialTokens { get; } = [EndOfText, TurnStart, TurnEnd];

    /// <summary>
    /// Learns merges: the most frequent adjacent pair of entries becomes an entry, again and again. Of equally frequent
    /// pairs the one with the lower left id wins, then the one with the lower right id.
    /// </summary>
    /// <param name="texts">Training text; pairs never reach across two texts. Special tokens in it separate, and are
    /// not learnt from.</param>
    /// <param name="vocabularySize">Ids in all, the three special tokens included. Text with few repeated pairs gives
    /// fewer.</param>
    /// <param name="minimumFrequency">A pair seen fewer times is not merged.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="vocabularySize"/> is below
    /// <see cref="SmallestVocabulary"/>, or <paramref name="minimumFrequency"/> below 1.</exception>
    /// <exception cref="TokenizerException">There is no text.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was signalled.</exception>
    public static BpeVocabulary Train(
        IEnumerable<string> texts,
        int vocabularySize,
        int minimumFrequency = 2,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, SmallestVocabulary);
        ArgumentOutOfRangeException.ThrowIfLessThan(minimumFrequency, 1);
        var pieces = CountPieces(texts, cancellation);
        if (pieces.Count == 0)
        {
            throw new TokenizerException(
                "A tokenizer is trained on text, and the given texts hold none. Name files with text in them.");
        }

        var entries = Bytes();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var byteIds = new int[256];
        for (var id = 0; id < 256; id++)
        {
            byteIds[entries[id][0]] = id;
            ids[BpeVocabulary.Spell(entries[id])] = id;
        }

        var table = new BpePairTable();
        foreach (var (piece, count) in pieces)
        {
            table.Add(Array.ConvertAll(Encoding.UTF8.GetBytes(piece), value => byteIds[value]), count);
        }

        table.QueueAll();
        var merges = new List<(int Left, int Right)>();
        var known = new HashSet<(int Left, int Right)>();
        while (entries.Count < vocabularySize - SpecialTokens.Count
            && table.TryTakeMostFrequent(minimumFrequency, out var left, out var right))
        {
            cancellation.ThrowIfCancellationRequested();
            byte[] bytes = [.. entries[left], .. entries[right]];
            // Two pairs may spell the same entry: a + bc and ab + c.
            if (ids.TryAdd(BpeVocabulary.Spell(bytes), entries.Count))
            {
                entries.Add(bytes);
            }

            // Such an entry may bring back a pair that is merged already; it keeps its rank.
            if (known.Add((left, right)))
            {
                merges.Add((left, right));
            }

            table.Merge(left, right, ids[BpeVocabulary.Spell(bytes)]);
        }

        return new BpeVocabulary(entries, merges);
    }

    /// <summary>The bytes in the order of their stand-ins: that of ids in GPT-2's and Qwen's files.</summary>
    private static List<byte[]> Bytes() =>
        [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value }).OrderBy(b => ByteAlphabet.ToChar(b[0]))];

    /// <summary>Pre-tokens and how often they occur, in an order that does not depend on where they stand.</summary>
    private static List<KeyValuePair<string, long>> CountPieces(
        IEnumerable<string> texts, CancellationToken cancellation)
    {
        var specials = new AddedTokens(SpecialTokens.Select(
            (content, index) => new AddedToken(index, content, false, false, false, Normalized: false, Special: true)));
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        var lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (var text in texts)
        {
            cancellation.ThrowIfCancellationRequested();
            var (from, done) = (0, 0);
            while (specials.Next(text, ref from, done, out var start, out var end) is not null)
            {
                CountSection(text.AsSpan(done, start - done), lookup);
                done = end;
            }

            CountSection(text.AsSpan(done), lookup);
        }

        return [.. counts.OrderBy(pair => pair.Key, StringComparer.Ordinal)];
    }

    private static void CountSection(
        ReadOnlySpan<char> text, Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> counts)
    {
        if (!NfcNormalizer.IsQuicklyNormal(text))
        {
            text = NfcNormalizer.Normalize(text.ToString());
        }

        for (var start = 0; start < text.Length;)
        {
            var end = PieceSplitter.End(SplitPattern.Qwen2, text, start);
            counts.TryGetValue(text[start..end], out var count);
            counts[text[start..end]] = count + 1;
            start = end;
        }
    }
}
