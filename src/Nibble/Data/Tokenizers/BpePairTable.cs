using System.Runtime.InteropServices;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// Pre-tokens as runs of ids with the counts of their adjacent pairs, kept up to date while pairs are merged. A merge
/// touches only the pre-tokens that hold its pair.
/// </summary>
internal sealed class BpePairTable
{
    private readonly List<Piece> _pieces = [];
    private readonly Dictionary<(int Left, int Right), Pair> _pairs = [];
    private readonly PriorityQueue<(int Left, int Right), (long Count, int Left, int Right)> _queue = new();

    /// <summary>Adds a pre-token.</summary>
    /// <param name="ids">Its bytes as ids; the table keeps and changes them.</param>
    /// <param name="count">How often it occurs.</param>
    public void Add(int[] ids, long count)
    {
        _pieces.Add(new Piece { Ids = ids, Length = ids.Length, Count = count });
        AddPairs(_pieces.Count - 1, 1, changed: null);
    }

    /// <summary>Makes every pair available; called once, after the last <see cref="Add"/>.</summary>
    public void QueueAll()
    {
        foreach (var (key, pair) in _pairs)
        {
            Queue(key, pair.Count);
        }
    }

    /// <summary>Takes the pair that occurs most often, of equals the one with the lowest ids.</summary>
    /// <param name="minimum">Fewest occurrences.</param>
    /// <param name="left">Left id.</param>
    /// <param name="right">Right id.</param>
    /// <returns>False when no pair occurs that often.</returns>
    public bool TryTakeMostFrequent(long minimum, out int left, out int right)
    {
        while (_queue.TryDequeue(out var key, out var priority))
        {
            var count = _pairs.TryGetValue(key, out var pair) ? pair.Count : 0;
            if (count < minimum)
            {
                continue;
            }

            // Merges elsewhere took occurrences away since the pair was queued; it goes back to where it belongs.
            if (count != -priority.Count)
            {
                Queue(key, count);
                continue;
            }

            (left, right) = key;
            return true;
        }

        (left, right) = (-1, -1);
        return false;
    }

    /// <summary>Replaces a pair by one id wherever it stands, leftmost first.</summary>
    /// <param name="left">Left id.</param>
    /// <param name="right">Right id.</param>
    /// <param name="merged">Id of both together.</param>
    public void Merge(int left, int right, int merged)
    {
        var changed = new HashSet<(int Left, int Right)>();
        // The set of pieces grows stale as merges take pairs away: pieces without the pair are passed over.
        foreach (var index in _pairs[(left, right)].Pieces.Order().ToArray())
        {
            var piece = _pieces[index];
            if (!piece.Holds(left, right))
            {
                continue;
            }

            AddPairs(index, -1, changed: null);
            piece.Replace(left, right, merged);
            AddPairs(index, 1, changed);
        }

        _pairs.Remove((left, right));
        foreach (var key in changed)
        {
            // Only pairs with the merged id can have more occurrences than when they were queued.
            if (key.Left == merged || key.Right == merged)
            {
                Queue(key, _pairs[key].Count);
            }
        }
    }

    private void Queue((int Left, int Right) key, long count) =>
        _queue.Enqueue(key, (-count, key.Left, key.Right));

    private void AddPairs(int index, int sign, HashSet<(int Left, int Right)>? changed)
    {
        var piece = _pieces[index];
        for (var i = 1; i < piece.Length; i++)
        {
            var key = (piece.Ids[i - 1], piece.Ids[i]);
            ref var pair = ref CollectionsMarshal.GetValueRefOrAddDefault(_pairs, key, out _);
            pair ??= new Pair();
            pair.Count += sign * piece.Count;
            if (sign > 0)
            {
                pair.Pieces.Add(index);
                changed?.Add(key);
            }
        }
    }

    private sealed class Pair
    {
        public long Count { get; set; }

        public HashSet<int> Pieces { get; } = [];
    }

    private sealed class Piece
    {
        public required int[] Ids { get; init; }

        public required int Length { get; set; }

        public required long Count { get; init; }

        public bool Holds(int left, int right)
        {
            for (var i = 1; i < Length; i++)
            {
                if (Ids[i - 1] == left && Ids[i] == right)
                {
                    return true;
                }
            }

            return false;
        }

        public void Replace(int left, int right, int merged)
        {
            var kept = 0;
            for (var i = 0; i < Length; i++)
            {
                var meets = i + 1 < Length && Ids[i] == left && Ids[i + 1] == right;
                Ids[kept++] = meets ? merged : Ids[i];
                i += meets ? 1 : 0;
            }

            Length = kept;
        }
    }
}
