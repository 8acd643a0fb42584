namespace Nibble.Data;

/// <summary>What became of the rows of one side, training or evaluation.</summary>
public sealed record DataSummary
{
    /// <summary>Rows read from files.</summary>
    public required long RowsRead { get; init; }

    /// <summary>Samples made of them; long completions make several.</summary>
    public required int SamplesMade { get; init; }

    /// <summary>Samples left.</summary>
    public required int SamplesKept { get; init; }

    /// <summary>Rows without text, which make no sample.</summary>
    public required long Empty { get; init; }

    /// <summary>Samples below <c>min_sample_len</c>.</summary>
    public required int TooShort { get; init; }

    /// <summary>Samples above <c>sequence_len</c> that were dropped.</summary>
    public required int TooLong { get; init; }

    /// <summary>Samples above <c>sequence_len</c> that were cut.</summary>
    public required int Truncated { get; init; }

    /// <summary>Samples that repeated an earlier one.</summary>
    public required int Duplicates { get; init; }

    /// <summary>Tokens of the shortest sample made, before the length policy.</summary>
    public required int ShortestLength { get; init; }

    /// <summary>Tokens of the longest sample made, before the length policy.</summary>
    public required int LongestLength { get; init; }

    /// <summary>Tokens of the samples kept.</summary>
    public required long Tokens { get; init; }

    /// <summary>Predictions that train among them.</summary>
    public required long TrainedTokens { get; init; }

    /// <summary>Mean tokens of a kept sample.</summary>
    public double MeanLength => SamplesKept == 0 ? 0 : (double)Tokens / SamplesKept;

    /// <summary>Share of the kept tokens that trains, in [0, 1].</summary>
    public double TrainedShare => Tokens == 0 ? 0 : (double)TrainedTokens / Tokens;
}

/// <summary>What became of the rows, for the plan that is shown before the first step.</summary>
public sealed record DataReport
{
    /// <summary>Training side; kept samples are counted after the validation split.</summary>
    public required DataSummary Train { get; init; }

    /// <summary>Evaluation side, or null without evaluation data.</summary>
    public required DataSummary? Eval { get; init; }

    /// <summary>Fields that rows have and no format reads, sorted.</summary>
    public required IReadOnlyList<string> UnusedFields { get; init; }

    /// <summary>One line per problem that does not stop the run.</summary>
    public required IReadOnlyList<string> Warnings { get; init; }
}

/// <summary>The outcome of <see cref="DatasetBuilder"/>.</summary>
/// <param name="Train">Training samples in shuffled order, at least one.</param>
/// <param name="Eval">Evaluation samples, possibly none.</param>
/// <param name="Report">Counts, shares and warnings.</param>
public sealed record TokenizedData(Sample[] Train, Sample[] Eval, DataReport Report);

/// <summary>How far tokenising has come.</summary>
/// <param name="Dataset">Path of the entry being read.</param>
/// <param name="Rows">Rows read so far in all.</param>
/// <param name="Tokens">Tokens made so far in all.</param>
public readonly record struct DataProgress(string Dataset, long Rows, long Tokens);
