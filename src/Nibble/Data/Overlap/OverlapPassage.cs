using System.Runtime.InteropServices;

namespace Nibble.Data.Overlap;

/// <summary>How much of a held-out row a passage holds.</summary>
/// <param name="Row">Number of the held-out row.</param>
/// <param name="Containment">Share of the row's shingles within one window, 0 to 1.</param>
/// <param name="HasRequest">Whether every shingle of a request of telling length is there.</param>
/// <param name="HasAnswer">Whether every shingle of an answer of telling length is there.</param>
/// <param name="First">First word of the passage that counted.</param>
/// <param name="Last">Last word that counted.</param>
internal readonly record struct OverlapMatch(
    int Row, double Containment, bool HasRequest, bool HasAnswer, int First, int Last);

/// <summary>Compares one passage after another with the held-out rows. Not for several threads.</summary>
/// <param name="index">Held-out rows.</param>
internal sealed class OverlapPassage(HeldOutIndex index)
{
    private readonly List<ulong> _words = [];
    private readonly List<int> _ends = [];
    private readonly List<Hit> _hits = [];
    private readonly List<int> _touched = [];
    private readonly int[] _last = Filled(index.Rows.Count, -1);
    private readonly int[] _counts = new int[index.Rows.Count];
    private readonly List<Hit> _ordered = [];
    private int[] _seen = [];

    /// <summary>Words so far.</summary>
    public int Words => _words.Count;

    /// <summary>Starts a new passage.</summary>
    public void Clear()
    {
        _words.Clear();
        _ends.Clear();
    }

    /// <summary>Adds a text to the passage; no shingle reaches across two texts.</summary>
    /// <param name="text">Text.</param>
    public void Add(ReadOnlySpan<char> text)
    {
        OverlapWords.Split(text, _words);
        _ends.Add(_words.Count);
    }

    /// <summary>Rows of which the passage holds at least a share.</summary>
    /// <param name="floor">Smallest share of interest; rows whose whole request or answer is there come as
    /// well.</param>
    /// <param name="matches">Takes them.</param>
    public void Match(double floor, List<OverlapMatch> matches)
    {
        FindHits();
        foreach (var row in _touched)
        {
            var held = index.Rows[row];
            var needed = Math.Min(floor * held.Shingles, FewestOfAPart(held));
            if (_counts[row] >= needed)
            {
                var match = BestWindow(row, held);
                if (match.Containment >= floor || match.HasAnswer || match.HasRequest)
                {
                    matches.Add(match);
                }
            }

            (_last[row], _counts[row]) = (-1, 0);
        }

        _touched.Clear();
        _hits.Clear();
    }

    private static int FewestOfAPart(HeldOutRow row) => Math.Min(
        row.HasTellingRequest ? row.RequestShingles : row.Shingles,
        row.HasTellingAnswer ? row.Shingles - row.RequestShingles : row.Shingles);

    private static int[] Filled(int length, int value)
    {
        var array = new int[length];
        Array.Fill(array, value);
        return array;
    }

    private void FindHits()
    {
        var words = CollectionsMarshal.AsSpan(_words);
        var start = 0;
        foreach (var end in _ends)
        {
            for (var at = start; at < end; at++)
            {
                for (var length = 1; length < HeldOutIndex.ShingleWords; length++)
                {
                    if (index.HasShort[length] && at + length <= end)
                    {
                        Note(OverlapWords.Shingle(words.Slice(at, length)), at);
                    }
                }

                if (at + HeldOutIndex.ShingleWords <= end)
                {
                    Note(OverlapWords.Shingle(words.Slice(at, HeldOutIndex.ShingleWords)), at);
                }
            }

            start = end;
        }
    }

    private void Note(ulong shingle, int position)
    {
        for (var posting = index.Find(shingle); posting >= 0; posting = index[posting].Next)
        {
            var (row, number, _) = index[posting];
            if (_counts[row]++ == 0)
            {
                _touched.Add(row);
            }

            _hits.Add(new Hit(position, number, _last[row]));
            _last[row] = _hits.Count - 1;
        }
    }

    /// <summary>Slides a window over the hits of a row and keeps the fullest position of it.</summary>
    private OverlapMatch BestWindow(int row, HeldOutRow held)
    {
        _ordered.Clear();
        for (var hit = _last[row]; hit >= 0; hit = _hits[hit].Previous)
        {
            _ordered.Add(_hits[hit]);
        }

        _ordered.Reverse();
        if (_seen.Length < held.Shingles)
        {
            _seen = new int[held.Shingles];
        }

        Array.Clear(_seen, 0, held.Shingles);
        var (all, request, first) = (0, 0, 0);
        var best = new OverlapMatch(row, 0, false, false, 0, 0);
        foreach (var hit in _ordered)
        {
            for (; hit.Position - _ordered[first].Position >= held.Window; first++)
            {
                var gone = _ordered[first].Shingle;
                if (--_seen[gone] == 0)
                {
                    all--;
                    request -= gone < held.RequestShingles ? 1 : 0;
                }
            }

            if (_seen[hit.Shingle]++ == 0)
            {
                all++;
                request += hit.Shingle < held.RequestShingles ? 1 : 0;
            }

            var found = new OverlapMatch(
                row,
                all / (double)held.Shingles,
                held.HasTellingRequest && request == held.RequestShingles,
                held.HasTellingAnswer && all - request == held.Shingles - held.RequestShingles,
                _ordered[first].Position,
                hit.Position);
            if (Weight(found) > Weight(best))
            {
                best = found;
            }
        }

        return best;
    }

    private static double Weight(OverlapMatch match) =>
        match.Containment + (match.HasAnswer ? 2 : 0) + (match.HasRequest ? 1 : 0);

    /// <summary>A shingle of a row in the passage.</summary>
    /// <param name="Position">First word.</param>
    /// <param name="Shingle">Number within the row.</param>
    /// <param name="Previous">The row's hit before it, or -1.</param>
    private readonly record struct Hit(int Position, int Shingle, int Previous);
}
