using System.Globalization;
using System.Text;

namespace Nibble.Data.Tokenizers;

/// <summary>
/// Unicode normalisation form C. The runtime's own is a no-op under invariant globalisation, which this program needs
/// to run without ICU. Source: Unicode Standard Annex 15, canonical composition; the data is <c>nfc.txt</c>.
/// </summary>
internal static class NfcNormalizer
{
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TrailBase = 0x11A7;
    private const int VowelCount = 21;
    private const int TrailCount = 28;
    private const int SyllableCount = 19 * VowelCount * TrailCount;

    /// <summary>Below it every character is its own normal form and joins nothing before it.</summary>
    private const char FirstUnstable = '\u0300';

    private static readonly Lazy<Tables> Data = new(Load);

    /// <summary>Returns <paramref name="text"/> itself when it is already normal, which nearly all text is.</summary>
    /// <param name="text">Any text; a lone surrogate stays as it is.</param>
    public static string Normalize(string text) => IsQuicklyNormal(text) ? text : NormalizeSlowly(text);

    /// <summary>Whether no character can change: true is certain, false means the full algorithm must look.</summary>
    /// <param name="text">Any text.</param>
    public static bool IsQuicklyNormal(ReadOnlySpan<char> text)
    {
        var at = text.IndexOfAnyExceptInRange('\0', (char)(FirstUnstable - 1));
        if (at < 0)
        {
            return true;
        }

        var data = Data.Value;
        for (; at < text.Length; at++)
        {
            var c = text[at];
            if (c < FirstUnstable)
            {
                continue;
            }

            if (!char.IsSurrogate(c))
            {
                if (data.Unstable[c])
                {
                    return false;
                }
            }
            else if (Rune.DecodeFromUtf16(text[at..], out var rune, out var used)
                == System.Buffers.OperationStatus.Done)
            {
                if (data.UnstableAstral.Contains(rune.Value))
                {
                    return false;
                }

                at += used - 1;
            }
        }

        return true;
    }

    private static string NormalizeSlowly(string text)
    {
        var data = Data.Value;
        var points = new List<int>(text.Length + 16);
        var classes = new List<byte>(text.Length + 16);
        for (var at = 0; at < text.Length;)
        {
            var point = (int)text[at];
            var used = 1;
            if (Rune.DecodeFromUtf16(text.AsSpan(at), out var rune, out var length)
                == System.Buffers.OperationStatus.Done)
            {
                (point, used) = (rune.Value, length);
            }

            Decompose(point, data, points);
            at += used;
        }

        foreach (var point in points)
        {
            classes.Add(data.Class.GetValueOrDefault(point));
        }

        Reorder(points, classes);
        return Compose(points, classes, data);
    }

    private static void Decompose(int point, Tables data, List<int> output)
    {
        var syllable = point - SyllableBase;
        if ((uint)syllable < SyllableCount)
        {
            output.Add(LeadBase + (syllable / (VowelCount * TrailCount)));
            output.Add(VowelBase + (syllable % (VowelCount * TrailCount) / TrailCount));
            if (syllable % TrailCount != 0)
            {
                output.Add(TrailBase + (syllable % TrailCount));
            }
        }
        else if (data.Parts.TryGetValue(point, out var parts))
        {
            Decompose(parts.First, data, output);
            if (parts.Second != 0)
            {
                Decompose(parts.Second, data, output);
            }
        }
        else
        {
            output.Add(point);
        }
    }

    private static void Reorder(List<int> points, List<byte> classes)
    {
        // Insertion sort of each run of marks: stable, as the standard demands, and runs are short.
        for (var i = 1; i < points.Count; i++)
        {
            var (point, rank) = (points[i], classes[i]);
            if (rank == 0)
            {
                continue;
            }

            var j = i;
            for (; j > 0 && classes[j - 1] > rank; j--)
            {
                points[j] = points[j - 1];
                classes[j] = classes[j - 1];
            }

            points[j] = point;
            classes[j] = rank;
        }
    }

    private static string Compose(List<int> points, List<byte> classes, Tables data)
    {
        var starter = -1;
        var last = 0;
        var kept = 0;
        for (var i = 0; i < points.Count; i++)
        {
            var (point, rank) = (points[i], (int)classes[i]);
            // A mark joins its starter unless something of its own class or higher, or a starter, stands between.
            var adjacent = kept - 1 == starter;
            if (starter >= 0 && (adjacent || (last < rank && last != 0))
                && TryPair(points[starter], point, data, out var joined))
            {
                points[starter] = joined;
                continue;
            }

            if (rank == 0)
            {
                starter = kept;
            }

            last = rank;
            points[kept++] = point;
        }

        var builder = new StringBuilder(kept + 8);
        for (var i = 0; i < kept; i++)
        {
            if (points[i] < 0x10000)
            {
                builder.Append((char)points[i]);
            }
            else
            {
                builder.Append(char.ConvertFromUtf32(points[i]));
            }
        }

        return builder.ToString();
    }

    private static bool TryPair(int first, int second, Tables data, out int joined)
    {
        var lead = first - LeadBase;
        var vowel = second - VowelBase;
        if ((uint)lead < 19 && (uint)vowel < VowelCount)
        {
            joined = SyllableBase + (((lead * VowelCount) + vowel) * TrailCount);
            return true;
        }

        var syllable = first - SyllableBase;
        var trail = second - TrailBase;
        if ((uint)syllable < SyllableCount && syllable % TrailCount == 0 && trail is > 0 and < TrailCount)
        {
            joined = first + trail;
            return true;
        }

        return data.Pairs.TryGetValue(((long)first << 32) | (uint)second, out joined);
    }

    private static Tables Load()
    {
        var data = new Tables();
        using var stream = typeof(NfcNormalizer).Assembly.GetManifestResourceStream("nfc.txt")
            ?? throw new TokenizerException("The embedded resource nfc.txt is missing from this build.");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
            {
                continue;
            }

            var words = line.Split(' ');
            var first = int.Parse(words[1], NumberStyles.HexNumber);
            if (words[0] == "C")
            {
                var rank = byte.Parse(words[3]);
                for (var point = first; point <= int.Parse(words[2], NumberStyles.HexNumber); point++)
                {
                    data.Class[point] = rank;
                    data.MarkUnstable(point);
                }

                continue;
            }

            var a = int.Parse(words[2], NumberStyles.HexNumber);
            var b = words.Length > 3 ? int.Parse(words[3], NumberStyles.HexNumber) : 0;
            data.Parts[first] = (a, b);
            if (words[0] == "P")
            {
                data.Pairs[((long)a << 32) | (uint)b] = first;
                data.MarkUnstable(b);
            }
            else
            {
                data.MarkUnstable(first);
            }
        }

        for (var point = VowelBase; point < TrailBase + TrailCount; point++)
        {
            data.MarkUnstable(point);
        }

        return data;
    }

    private sealed class Tables
    {
        public bool[] Unstable { get; } = new bool[0x10000];

        public HashSet<int> UnstableAstral { get; } = [];

        public Dictionary<int, byte> Class { get; } = [];

        public Dictionary<int, (int First, int Second)> Parts { get; } = [];

        public Dictionary<long, int> Pairs { get; } = [];

        public void MarkUnstable(int point)
        {
            if (point < 0x10000)
            {
                Unstable[point] = true;
            }
            else
            {
                UnstableAstral.Add(point);
            }
        }
    }
}
