namespace Nibble.Data.Overlap;

/// <summary>Judges passages and keeps what was found.</summary>
/// <param name="index">Held-out rows.</param>
/// <param name="threshold">Share of a row's shingles from which a passage holds it.</param>
internal sealed class OverlapTally(HeldOutIndex index, double threshold)
{
    private readonly OverlapFinding?[] _found = new OverlapFinding?[index.Rows.Count];
    private readonly List<OverlapMatch> _matches = [];
    private OverlapFinding? _closest;
    private long _passages;
    private long _dropped;

    /// <summary>The passage at hand.</summary>
    public OverlapPassage Passage { get; } = new(index);

    /// <summary>Compares the passage with all rows.</summary>
    /// <param name="where">Says where a match begins.</param>
    /// <param name="held">Told about every row that it holds, or null.</param>
    /// <returns>Whether the passage holds a row.</returns>
    public bool Judge(Func<OverlapMatch, string> where, Action<OverlapMatch>? held)
    {
        _matches.Clear();
        // Just above what is known already: an equally close pair is no news.
        Passage.Match(Math.Min(threshold, _closest is null ? double.Epsilon : _closest.Containment + 1e-9), _matches);
        var holds = false;
        foreach (var match in _matches)
        {
            var kind = KindOf(match);
            var heldOut = index.Rows[match.Row].Origin;
            if (kind == OverlapKind.None)
            {
                if (_closest is null || match.Containment > _closest.Containment)
                {
                    _closest = new OverlapFinding(where(match), heldOut, match.Containment, kind);
                }

                continue;
            }

            holds = true;
            held?.Invoke(match);
            if (_found[match.Row] is not { } known || match.Containment > known.Containment)
            {
                _found[match.Row] = new OverlapFinding(where(match), heldOut, match.Containment, kind);
            }
        }

        return holds;
    }

    /// <summary>Counts a passage.</summary>
    /// <param name="holds">Whether it holds a row.</param>
    public void Count(bool holds)
    {
        _passages++;
        _dropped += holds ? 1 : 0;
    }

    /// <summary>What was found so far.</summary>
    public OverlapReport Report()
    {
        var findings = _found.OfType<OverlapFinding>().ToArray();
        return new OverlapReport(_passages, _dropped, findings.Length, findings, _closest);
    }

    private OverlapKind KindOf(OverlapMatch match) => match.Containment >= threshold ? OverlapKind.NearDuplicate
        : match.HasAnswer ? OverlapKind.SameAnswer
        : match.HasRequest ? OverlapKind.SameRequest
        : OverlapKind.None;
}
