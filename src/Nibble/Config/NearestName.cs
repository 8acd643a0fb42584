namespace Nibble.Config;

/// <summary>Finds the known name that a mistyped one most likely meant.</summary>
public static class NearestName
{
    /// <summary>
    /// The candidate with the fewest insertions, deletions and substitutions (Levenshtein, ignoring case), or null when
    /// even that one differs in more than a third of its characters (two are always allowed). A name that only goes on
    /// where a candidate ends, or the other way round, counts as two: <c>lora_rank</c> means <c>lora_r</c>.
    /// </summary>
    /// <param name="name">What was written.</param>
    /// <param name="candidates">Known names; the first of several equally near wins.</param>
    public static string? Find(string name, IEnumerable<string> candidates)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(candidates);

        // No key is longer; a pasted document in place of a name must not cost quadratic time.
        if (name.Length is 0 or > 64)
        {
            return null;
        }

        string? best = null;
        var bestDistance = int.MaxValue;
        foreach (var candidate in candidates)
        {
            var distance = Distance(name.ToUpperInvariant(), candidate.ToUpperInvariant());
            if (Math.Min(name.Length, candidate.Length) >= 5
                && (name.StartsWith(candidate, StringComparison.OrdinalIgnoreCase)
                    || candidate.StartsWith(name, StringComparison.OrdinalIgnoreCase)))
            {
                distance = Math.Min(distance, 2);
            }

            var most = Math.Max(2, Math.Min(name.Length, candidate.Length) / 3);
            if (distance <= most && distance < Math.Max(name.Length, candidate.Length) && distance < bestDistance)
            {
                best = candidate;
                bestDistance = distance;
            }
        }

        return best;
    }

    /// <summary>Levenshtein distance in characters.</summary>
    internal static int Distance(string a, string b)
    {
        var previous = new int[b.Length + 1];
        var current = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            previous[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            current[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var substituted = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                current[j] = Math.Min(substituted, Math.Min(previous[j], current[j - 1]) + 1);
            }

            (previous, current) = (current, previous);
        }

        return previous[b.Length];
    }
}
