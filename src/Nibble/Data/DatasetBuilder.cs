using Nibble.Config;
using Nibble.Data.Formats;
using Nibble.Data.Sources;
using Nibble.Data.Tokenizers;

namespace Nibble.Data;

/// <summary>
/// From the config's datasets to samples: rows in file order, datasets in config order, shuffled by seed, length
/// policy,
/// deduplication, validation split from the tail. Source of the order: <c>axolotl-ai-cloud/axolotl
/// src/axolotl/utils/data/sft.py</c>.
/// </summary>
public static class DatasetBuilder
{
    private const int ProgressEvery = 1000;

    /// <summary>Reads and tokenises everything the config names.</summary>
    /// <param name="config">Resolved run.</param>
    /// <param name="tokenizer">Tokenizer of the run; the config's special tokens are applied here.</param>
    /// <param name="progress">Told now and then, or null.</param>
    /// <param name="cancellation">Stops between two rows.</param>
    /// <exception cref="DatasetException">A file, row or field is not as the config says, nothing is left to train on,
    /// or too
    /// much is lost to the length policy.</exception>
    public static TokenizedData Build(
        RunConfig config,
        HfTokenizer tokenizer,
        IProgress<DataProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(tokenizer);
        var run = new Run(
            config,
            tokenizer.WithSpecialTokens(config.Data.SpecialTokens),
            new WarningLog(),
            [],
            progress,
            cancellation);
        var pool = run.ReadAll(config.Data.Train, isTest: false);
        Sample[] evaluation = [];
        DataSummary? evalSummary = null;
        if (config.Data.Test.Count > 0)
        {
            var testPool = run.ReadAll(config.Data.Test, isTest: true);
            evaluation = [.. testPool.Samples];
            evalSummary = testPool.Summarize(evaluation);
        }
        else if (config.Data.ValidationSize > 0)
        {
            evaluation = pool.TakeTail(ValidationCount(config.Data.ValidationSize, pool.Samples.Count));
            evalSummary =
                new SamplePool(config.Sequence).Summarize(evaluation) with { SamplesMade = evaluation.Length };
        }

        if (pool.Samples.Count == 0)
        {
            throw new DatasetException("No training rows are left: " + Explain(pool.Summarize([])));
        }

        if (evalSummary is { SamplesKept: 0 })
        {
            throw new DatasetException("No evaluation rows are left: " + Explain(evalSummary));
        }

        Sample[] train = [.. pool.Samples];
        return new TokenizedData(train, evaluation, new DataReport
        {
            Train = pool.Summarize(train),
            Eval = evalSummary,
            UnusedFields = [.. run.Unused.Order(StringComparer.Ordinal)],
            Warnings = run.Warnings.Lines(),
        });
    }

    /// <summary>Rows of the validation split: a share rounded up, or a count.</summary>
    internal static int ValidationCount(double size, int rows)
    {
        var count = size <= 1 ? (int)Math.Ceiling(size * rows) : (int)size;
        return count < rows
            ? count
            : throw new DatasetException(
                $"val_set_size {size} takes {count} of {rows} samples and leaves none to train on. Lower it.");
    }

    private static string Explain(DataSummary summary) =>
        $"{summary.RowsRead} read, {summary.Empty} empty, {summary.TooShort} too short, {summary.TooLong} too long, "
        + $"{summary.Duplicates} duplicates.";

    private sealed record Run(
        RunConfig Config,
        HfTokenizer Tokenizer,
        WarningLog Warnings,
        HashSet<string> Unused,
        IProgress<DataProgress>? Progress,
        CancellationToken Cancellation)
    {
        private long _rows;
        private long _tokens;

        public SamplePool ReadAll(IReadOnlyList<DatasetOptions> datasets, bool isTest)
        {
            var pool = new SamplePool(Config.Sequence);
            foreach (var dataset in datasets)
            {
                Read(dataset, isTest, pool);
            }

            if (Config.Data.Shuffle)
            {
                pool.Shuffle(Config.Seed);
            }

            pool.ApplyLengths();
            if (Config.Data.ExactDeduplication)
            {
                pool.DropDuplicates();
            }

            return pool;
        }

        private void Read(DatasetOptions dataset, bool isTest, SamplePool pool)
        {
            var format = RowFormats.Find(dataset.Type).Create(
                new FormatContext(Tokenizer, Config.Data, Config.Sequence, dataset, Warnings));
            var made = new List<Sample>();
            foreach (var row in DatasetFiles.Read(dataset, isTest))
            {
                Cancellation.ThrowIfCancellationRequested();
                NoteUnused(row, format);
                made.Clear();
                format.Tokenize(row, made);
                pool.RowsRead++;
                pool.Empty += made.Count == 0 ? 1 : 0;
                foreach (var sample in made)
                {
                    // A sample of one token trains nothing by its length; the length policy drops and counts it.
                    if (sample.TrainedTokens == 0 && sample.InputIds.Length > 1)
                    {
                        throw NothingTrains(sample);
                    }

                    pool.Add(sample);
                    _tokens += sample.InputIds.Length;
                }

                if (++_rows % ProgressEvery == 0)
                {
                    Progress?.Report(new DataProgress(dataset.Path, _rows, _tokens));
                }
            }

            Progress?.Report(new DataProgress(dataset.Path, _rows, _tokens));
        }

        private void NoteUnused(Row row, IRowFormat format)
        {
            foreach (var property in row.Value.EnumerateObject())
            {
                if (!format.Fields.Contains(property.Name))
                {
                    Unused.Add(property.Name);
                }
            }
        }

        private DatasetException NothingTrains(Sample sample)
        {
            var text = Tokenizer.Decode(sample.InputIds, skipSpecial: false);
            return new DatasetException(
                $"{sample.Origin}: no token of this row trains: "
                + $"all {sample.InputIds.Length} labels are masked. Its text: "
                + (text.Length > 200 ? text[..200] + "…" : text));
        }
    }
}
