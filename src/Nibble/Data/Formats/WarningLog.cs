namespace Nibble.Data.Formats;

/// <summary>Collects warnings so that a thousand rows with one problem make one line.</summary>
internal sealed class WarningLog
{
    private readonly Dictionary<string, (long Count, string First)> _seen = [];
    private readonly List<string> _order = [];

    /// <summary>Notes one row with a problem.</summary>
    /// <param name="message">The problem, the same text for every row.</param>
    /// <param name="origin">Row, or empty for the whole entry.</param>
    public void Add(string message, string origin)
    {
        if (_seen.TryGetValue(message, out var entry))
        {
            _seen[message] = (entry.Count + 1, entry.First);
        }
        else
        {
            _seen[message] = (1, origin);
            _order.Add(message);
        }
    }

    /// <summary>One line per problem in the order they were met.</summary>
    public IReadOnlyList<string> Lines() => [.. _order.Select(message =>
    {
        var (count, first) = _seen[message];
        return first.Length == 0 ? message : $"{message} ({count} row{(count == 1 ? "" : "s")}, first {first})";
    })];
}
