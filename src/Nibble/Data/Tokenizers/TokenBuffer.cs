namespace Nibble.Data.Tokenizers;

/// <summary>A growing run of token ids that is reused from row to row.</summary>
public sealed class TokenBuffer
{
    private int[] _ids = new int[256];

    /// <summary>Ids written so far.</summary>
    public int Count { get; private set; }

    /// <summary>The ids, [Count]; valid until the next write.</summary>
    public ReadOnlySpan<int> Ids => _ids.AsSpan(0, Count);

    /// <summary>Forgets the ids and keeps the memory.</summary>
    public void Clear() => Count = 0;

    /// <summary>Takes the last id back.</summary>
    public void RemoveLast() => Count--;

    /// <summary>Writes one id.</summary>
    /// <param name="id">Token id.</param>
    public void Add(int id)
    {
        if (Count == _ids.Length)
        {
            Grow(1);
        }

        _ids[Count++] = id;
    }

    /// <summary>Writes several ids.</summary>
    /// <param name="ids">Token ids.</param>
    public void Add(ReadOnlySpan<int> ids)
    {
        if (Count + ids.Length > _ids.Length)
        {
            Grow(ids.Length);
        }

        ids.CopyTo(_ids.AsSpan(Count));
        Count += ids.Length;
    }

    private void Grow(int more) => Array.Resize(ref _ids, Math.Max(_ids.Length * 2, Count + more));
}
