using System.Globalization;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Nibble.Config;
using Nibble.Data.Packing;

namespace Nibble.Data;

/// <summary>The samples of one side on their way through shuffling, length policy and deduplication.</summary>
internal sealed class SamplePool(SequenceOptions sequence)
{
    private int _tooShort;
    private int _tooLong;
    private int _truncated;
    private int _duplicates;
    private int _made;
    private int _shortest = int.MaxValue;
    private int _longest;
    private string? _firstTooLong;

    public List<Sample> Samples { get; private set; } = [];

    public long RowsRead { get; set; }

    public long Empty { get; set; }

    /// <summary>Counts a sample in.</summary>
    public void Add(Sample sample)
    {
        Samples.Add(sample);
        _made++;
        _shortest = Math.Min(_shortest, sample.InputIds.Length);
        _longest = Math.Max(_longest, sample.InputIds.Length);
    }

    /// <summary>Order of <c>numpy.random.default_rng(seed).permutation</c>, as the Python stack shuffles.</summary>
    public void Shuffle(int seed) =>
        Samples = [.. Permutations.Numpy(Samples.Count, seed).Select(index => Samples[index])];

    /// <summary>Applies <c>min_sample_len</c>, <c>sequence_len</c> and <c>excess_length_strategy</c>.</summary>
    /// <exception cref="DatasetException">A row is too long and the strategy is to raise, or too large a share is
    /// lost.</exception>
    public void ApplyLengths()
    {
        var kept = new List<Sample>(Samples.Count);
        foreach (var sample in Samples)
        {
            var length = sample.InputIds.Length;
            if (length < sequence.MinimumLength)
            {
                _tooShort++;
            }
            else if (length <= sequence.Length)
            {
                kept.Add(sample);
            }
            else if (Cut(sample) is { } cut)
            {
                kept.Add(cut);
            }
        }

        Samples = kept;
        var lost = _tooLong + _tooShort;
        if (lost > sequence.MaximumDroppedShare * _made)
        {
            var percent = (100.0 * lost / _made).ToString("F1", CultureInfo.InvariantCulture);
            var examples = _firstTooLong is null ? string.Empty : $" (first {_firstTooLong}, longest {_longest})";
            throw new DatasetException(
                $"{lost} of {_made} samples ({percent} %) would be lost: {_tooLong} longer than sequence_len "
                + $"{sequence.Length}{examples}, {_tooShort} shorter than min_sample_len "
                + $"{sequence.MinimumLength}. Raise sequence_len, set excess_length_strategy: truncate, "
                + "or allow the loss with nibble.max_dropped_share.");
        }
    }

    /// <summary>Drops samples whose ids and labels repeat an earlier one.</summary>
    public void DropDuplicates()
    {
        // A 128-bit digest stands for the sample: equal by accident once in 10^20 even among a billion samples.
        var seen = new HashSet<UInt128>();
        _duplicates += Samples.RemoveAll(sample =>
        {
            var hash = new XxHash128();
            hash.Append(MemoryMarshal.AsBytes(sample.InputIds.AsSpan()));
            hash.Append(MemoryMarshal.AsBytes(sample.Labels.AsSpan()));
            return !seen.Add(hash.GetCurrentHashAsUInt128());
        });
    }

    /// <summary>Takes the last samples away, as evaluation data.</summary>
    /// <param name="count">How many.</param>
    public Sample[] TakeTail(int count)
    {
        var tail = Samples.GetRange(Samples.Count - count, count).ToArray();
        Samples.RemoveRange(Samples.Count - count, count);
        return tail;
    }

    /// <summary>The counts, with <paramref name="kept"/> as what is left.</summary>
    public DataSummary Summarize(IReadOnlyList<Sample> kept) => new()
    {
        RowsRead = RowsRead,
        SamplesMade = _made,
        SamplesKept = kept.Count,
        Empty = Empty,
        TooShort = _tooShort,
        TooLong = _tooLong,
        Truncated = _truncated,
        Duplicates = _duplicates,
        ShortestLength = _made == 0 ? 0 : _shortest,
        LongestLength = _longest,
        Tokens = kept.Sum(sample => (long)sample.InputIds.Length),
        TrainedTokens = kept.Sum(sample => (long)sample.TrainedTokens),
    };

    private Sample? Cut(Sample sample)
    {
        _firstTooLong ??= sample.Origin;
        switch (sequence.Excess)
        {
            case ExcessLength.Raise:
                throw new DatasetException(
                    $"{sample.Origin}: the row has {sample.InputIds.Length} tokens, "
                    + $"sequence_len is {sequence.Length} and excess_length_strategy is raise. Shorten the row, "
                    + "raise sequence_len, or choose drop or truncate.");
            case ExcessLength.Truncate:
                var cut = new Sample(sample.InputIds[..sequence.Length], sample.Labels[..sequence.Length],
                    sample.Origin);
                // Cut off before anything that trains, the row has nothing to teach: it is lost like a dropped one.
                if (cut.TrainedTokens == 0)
                {
                    _tooLong++;
                    return null;
                }

                _truncated++;
                return cut;
            default:
                _tooLong++;
                return null;
        }
    }
}
