namespace Nibble.Data.Overlap;

/// <summary>A held-out row.</summary>
/// <param name="Origin">File and line.</param>
/// <param name="Words">Words of the row.</param>
/// <param name="RequestWords">Words before the answer; 0 when the row is one text.</param>
/// <param name="Shingles">Distinct shingles: first the request's, then the answer's.</param>
/// <param name="RequestShingles">Distinct shingles of the request; 0 when the row is one text.</param>
internal sealed record HeldOutRow(string Origin, int Words, int RequestWords, int Shingles, int RequestShingles)
{
    /// <summary>Words of a passage that are looked at together.</summary>
    public int Window => Math.Max(HeldOutIndex.SmallestWindow, 2 * Words);

    /// <summary>Whether the request alone is long enough to tell that a row was copied.</summary>
    public bool HasTellingRequest => RequestShingles > 0 && RequestWords >= HeldOutIndex.TellingWords;

    /// <summary>Whether the answer alone is long enough to tell that a row was copied.</summary>
    public bool HasTellingAnswer => RequestShingles > 0 && Words - RequestWords >= HeldOutIndex.TellingWords;
}

/// <summary>The shingles of held-out rows, each with the rows that hold it.</summary>
internal sealed class HeldOutIndex
{
    /// <summary>Words of a shingle.</summary>
    public const int ShingleWords = 3;

    /// <summary>A request or an answer of fewer words is common property.</summary>
    public const int TellingWords = 8;

    /// <summary>Fewest words of a passage that are looked at together.</summary>
    public const int SmallestWindow = 32;

    private readonly Dictionary<ulong, int> _first = [];
    private readonly List<Posting> _postings = [];
    private readonly List<HeldOutRow> _rows = [];
    private readonly List<ulong> _words = [];

    /// <summary>The rows.</summary>
    public IReadOnlyList<HeldOutRow> Rows => _rows;

    /// <summary>Longest window of a row.</summary>
    public int LongestWindow { get; private set; } = SmallestWindow;

    /// <summary>Whether a part of a row is shorter than a shingle, by its words: 1 or 2.</summary>
    public bool[] HasShort { get; } = new bool[ShingleWords];

    /// <summary>Adds a row.</summary>
    /// <param name="origin">File and line.</param>
    /// <param name="parts">Its texts; when there are several the last one is the answer.</param>
    public void Add(string origin, IReadOnlyList<string> parts)
    {
        var known = new HashSet<(bool, ulong)>();
        var (words, requestWords, requestShingles) = (0, 0, 0);
        for (var part = 0; part < parts.Count; part++)
        {
            var isAnswer = parts.Count > 1 && part == parts.Count - 1;
            if (isAnswer)
            {
                (requestWords, requestShingles) = (words, known.Count);
            }

            _words.Clear();
            OverlapWords.Split(parts[part], _words);
            words += _words.Count;
            var text = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_words);
            var length = Math.Min(ShingleWords, text.Length);
            if (length is > 0 and < ShingleWords)
            {
                HasShort[length] = true;
            }

            for (var at = 0; length > 0 && at + length <= text.Length; at++)
            {
                var shingle = OverlapWords.Shingle(text.Slice(at, length));
                if (known.Add((isAnswer, shingle)))
                {
                    Post(shingle, known.Count - 1);
                }
            }
        }

        _rows.Add(new HeldOutRow(origin, words, requestWords, known.Count, requestShingles));
        LongestWindow = Math.Max(LongestWindow, _rows[^1].Window);
    }

    /// <summary>Number of a shingle's first posting, or -1.</summary>
    /// <param name="shingle">Hash of the shingle.</param>
    public int Find(ulong shingle) => _first.TryGetValue(shingle, out var first) ? first : -1;

    /// <summary>A posting.</summary>
    /// <param name="number">Its number.</param>
    public Posting this[int number] => _postings[number];

    private void Post(ulong shingle, int number)
    {
        var next = Find(shingle);
        _first[shingle] = _postings.Count;
        _postings.Add(new Posting(_rows.Count, number, next));
    }

    /// <summary>One row that holds a shingle.</summary>
    /// <param name="Row">Number of the row.</param>
    /// <param name="Shingle">Number of the shingle within the row.</param>
    /// <param name="Next">Next posting of the shingle, or -1.</param>
    public readonly record struct Posting(int Row, int Shingle, int Next);
}
