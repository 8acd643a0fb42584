using System.Text;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// Byte-pair merging over ids: start from the bytes of a pre-token, merge the adjacent pair of the lowest rank,
/// leftmost
/// first, until no pair has a rank. Source: Sennrich et al. 2016, section 3.2; ranks as in <c>tokenizer.json</c>.
/// </summary>
internal sealed class BytePairModel
{
    /// <summary>Pieces up to this many bytes are merged by scanning; longer ones by a heap, so time stays n log
    /// n.</summary>
    private const int ScanLimit = 128;

    private readonly int[] _byteIds;
    private readonly ulong[] _pairs;
    private readonly (int Rank, int Id)[] _results;
    private readonly int _mask;
    private readonly Dictionary<string, int>? _wholePieces;

    /// <summary>Takes the tables.</summary>
    /// <param name="byteIds">Id of each byte's own token, [256].</param>
    /// <param name="merges">Left id, right id and merged id in order of rank.</param>
    /// <param name="wholePieces">Vocabulary that is tried before merging (<c>ignore_merges</c>), or null.</param>
    public BytePairModel(
        int[] byteIds, IReadOnlyList<(int Left, int Right, int Merged)> merges, Dictionary<string, int>? wholePieces)
    {
        _byteIds = byteIds;
        _wholePieces = wholePieces;
        var size = 16;
        while (size < merges.Count * 2)
        {
            size *= 2;
        }

        _mask = size - 1;
        _pairs = new ulong[size];
        Array.Fill(_pairs, ulong.MaxValue);
        _results = new (int, int)[size];
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right, merged) = merges[rank];
            var key = Key(left, right);
            var slot = Slot(key);
            while (_pairs[slot] != ulong.MaxValue && _pairs[slot] != key)
            {
                slot = (slot + 1) & _mask;
            }

            // A repeated merge keeps its last rank, as building a map from the list does in the reference.
            _pairs[slot] = key;
            _results[slot] = (rank, merged);
        }
    }

    /// <summary>Appends the ids of one pre-token.</summary>
    /// <param name="piece">Normalised text of the pre-token; a lone surrogate becomes U+FFFD.</param>
    /// <param name="output">Receives the ids.</param>
    public void Encode(ReadOnlySpan<char> piece, TokenBuffer output)
    {
        Span<byte> small = stackalloc byte[ScanLimit];
        var most = piece.Length * 3;
        var bytes = most <= ScanLimit ? small : new byte[most];
        bytes = bytes[..Encoding.UTF8.GetBytes(piece, bytes)];
        if (_wholePieces is not null && TryWhole(bytes, out var whole))
        {
            output.Add(whole);
        }
        else if (bytes.Length == 1)
        {
            output.Add(_byteIds[bytes[0]]);
        }
        else if (bytes.Length <= ScanLimit)
        {
            Scan(bytes, output);
        }
        else
        {
            MergeLong(bytes, output);
        }
    }

    private static ulong Key(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;

    private void Scan(ReadOnlySpan<byte> bytes, TokenBuffer output)
    {
        Span<int> ids = stackalloc int[ScanLimit];
        Span<int> ranks = stackalloc int[ScanLimit];
        Span<int> merged = stackalloc int[ScanLimit];
        var count = bytes.Length;
        for (var i = 0; i < count; i++)
        {
            ids[i] = _byteIds[bytes[i]];
        }

        for (var i = 0; i + 1 < count; i++)
        {
            (ranks[i], merged[i]) = Find(ids[i], ids[i + 1]);
        }

        while (count > 1)
        {
            var best = 0;
            for (var i = 1; i < count - 1; i++)
            {
                if (ranks[i] < ranks[best])
                {
                    best = i;
                }
            }

            if (ranks[best] == int.MaxValue)
            {
                break;
            }

            ids[best] = merged[best];
            ids[(best + 2)..count].CopyTo(ids[(best + 1)..]);
            if (best + 2 < count)
            {
                ranks[(best + 2)..(count - 1)].CopyTo(ranks[(best + 1)..]);
                merged[(best + 2)..(count - 1)].CopyTo(merged[(best + 1)..]);
            }

            count--;
            if (best + 1 < count)
            {
                (ranks[best], merged[best]) = Find(ids[best], ids[best + 1]);
            }

            if (best > 0)
            {
                (ranks[best - 1], merged[best - 1]) = Find(ids[best - 1], ids[best]);
            }
        }

        output.Add(ids[..count]);
    }

    private void MergeLong(ReadOnlySpan<byte> bytes, TokenBuffer output)
    {
        var count = bytes.Length;
        var (ids, next, previous) = (new int[count], new int[count], new int[count]);
        for (var i = 0; i < count; i++)
        {
            (ids[i], next[i], previous[i]) = (_byteIds[bytes[i]], i + 1 < count ? i + 1 : -1, i - 1);
        }

        var heap = new PriorityQueue<(int At, int Left, int Right, int Merged), long>(count);
        for (var i = 0; i + 1 < count; i++)
        {
            Push(i, i + 1);
        }

        while (heap.TryDequeue(out var pair, out _))
        {
            var right = next[pair.At];
            // An entry is stale when either side has been merged since it was pushed.
            if (ids[pair.At] != pair.Left || right < 0 || ids[right] != pair.Right)
            {
                continue;
            }

            ids[pair.At] = pair.Merged;
            ids[right] = -1;
            next[pair.At] = next[right];
            if (next[right] >= 0)
            {
                previous[next[right]] = pair.At;
                Push(pair.At, next[right]);
            }

            if (previous[pair.At] >= 0)
            {
                Push(previous[pair.At], pair.At);
            }
        }

        for (var i = 0; i >= 0; i = next[i])
        {
            output.Add(ids[i]);
        }

        void Push(int left, int right)
        {
            var (rank, merged) = Find(ids[left], ids[right]);
            if (rank != int.MaxValue)
            {
                heap.Enqueue((left, ids[left], ids[right], merged), ((long)rank << 32) | (uint)left);
            }
        }
    }

    private bool TryWhole(ReadOnlySpan<byte> bytes, out int id)
    {
        var chars = bytes.Length <= 256 ? stackalloc char[bytes.Length] : new char[bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
        {
            chars[i] = ByteAlphabet.ToChar(bytes[i]);
        }

        return _wholePieces!.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(chars, out id);
    }

    private (int Rank, int Id) Find(int left, int right)
    {
        var key = Key(left, right);
        for (var slot = Slot(key); ; slot = (slot + 1) & _mask)
        {
            var found = _pairs[slot];
            if (found == key)
            {
                return _results[slot];
            }

            if (found == ulong.MaxValue)
            {
                return (int.MaxValue, -1);
            }
        }
    }

    private int Slot(ulong key) => (int)((key * 0x9E3779B97F4A7C15) >> 32) & _mask;
}
