using System.IO.Hashing;
using System.Runtime.InteropServices;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// The ids of pre-tokens seen before. Text repeats its words, so most merges are look-ups. Bounded: when either arena
/// is
/// full it starts over. Used by one thread at a time.
/// </summary>
internal sealed class PieceCache
{
    private const int LongestPiece = 48;
    private const int SlotCount = 1 << 16;
    private const int ArenaLimit = 1 << 20;

    private readonly Entry[] _slots = new Entry[SlotCount];
    private char[] _chars = new char[1 << 14];
    private int[] _ids = new int[1 << 14];
    private int _charCount;
    private int _idCount;
    private int _entries;

    /// <summary>Hash of a piece, or 0 when it is too long to keep.</summary>
    /// <param name="piece">Pre-token.</param>
    public static ulong Hash(ReadOnlySpan<char> piece) => piece.Length > LongestPiece
        ? 0
        : XxHash3.HashToUInt64(MemoryMarshal.AsBytes(piece)) | 1;

    /// <summary>Appends the ids of a piece seen before.</summary>
    /// <param name="piece">Pre-token.</param>
    /// <param name="hash">Its <see cref="Hash"/>, not 0.</param>
    /// <param name="output">Receives the ids.</param>
    /// <returns>Whether it was there.</returns>
    public bool TryCopy(ReadOnlySpan<char> piece, ulong hash, TokenBuffer output)
    {
        for (var slot = (int)(hash >> 40) & (SlotCount - 1); ; slot = (slot + 1) & (SlotCount - 1))
        {
            ref readonly var entry = ref _slots[slot];
            if (entry.Hash == hash && piece.SequenceEqual(_chars.AsSpan(entry.CharStart, entry.CharCount)))
            {
                output.Add(_ids.AsSpan(entry.IdStart, entry.IdCount));
                return true;
            }

            if (entry.Hash == 0)
            {
                return false;
            }
        }
    }

    /// <summary>Keeps a piece that <see cref="TryCopy"/> did not find.</summary>
    /// <param name="piece">Pre-token.</param>
    /// <param name="hash">Its <see cref="Hash"/>, not 0.</param>
    /// <param name="ids">Its ids.</param>
    public void Keep(ReadOnlySpan<char> piece, ulong hash, ReadOnlySpan<int> ids)
    {
        if (_entries > SlotCount / 2 || _charCount + piece.Length > ArenaLimit || _idCount + ids.Length > ArenaLimit)
        {
            Array.Clear(_slots);
            (_charCount, _idCount, _entries) = (0, 0, 0);
        }

        if (_charCount + piece.Length > _chars.Length)
        {
            Array.Resize(ref _chars, _chars.Length * 2);
        }

        if (_idCount + ids.Length > _ids.Length)
        {
            Array.Resize(ref _ids, Math.Max(_ids.Length * 2, _idCount + ids.Length));
        }

        var slot = (int)(hash >> 40) & (SlotCount - 1);
        while (_slots[slot].Hash != 0)
        {
            slot = (slot + 1) & (SlotCount - 1);
        }

        piece.CopyTo(_chars.AsSpan(_charCount));
        ids.CopyTo(_ids.AsSpan(_idCount));
        _slots[slot] = new Entry(hash, _charCount, _idCount, (short)piece.Length, (short)ids.Length);
        _charCount += piece.Length;
        _idCount += ids.Length;
        _entries++;
    }

    private readonly record struct Entry(ulong Hash, int CharStart, int IdStart, short CharCount, short IdCount);
}
