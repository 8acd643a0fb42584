using System.Text.Json;
using Nibble.Data.Sources;

namespace Nibble.Data.Overlap;

/// <summary>
/// Says whether rows that were held out for evaluation, or near duplicates of them, occur in training rows or in text.
/// <para>
/// Texts are compared as words: runs of letters and digits in lower case, and every other visible character by itself;
/// white space, quotation marks and the punctuation of sentences do not count. A shingle is three words in a row (of a
/// part with fewer words, all of them). A passage <em>holds</em> a held-out row when, within a window of twice the
/// row's words (at least 32), one of these is so:
/// </para>
/// <list type="number">
/// <item>of the distinct shingles of the row, request and answer together, at least the threshold's share is there
/// (0.75 unless set);</item>
/// <item>every shingle of its answer is there, and the answer has at least eight words;</item>
/// <item>every shingle of its request is there, and the request has at least eight words.</item>
/// </list>
/// <para>
/// A passage is one row of JSON (every string in it), or two neighbouring paragraphs of plain text. A change of one
/// word costs at most three shingles: a row of 16 words or more with one word changed still counts, a short row with
/// another file name does not, nor does a short command that anyone would type. Source: w-shingling and containment of
/// Broder, "On the resemblance and containment of documents", 1997.
/// </para>
/// </summary>
public sealed class OverlapFinder
{
    /// <summary>Share of a row's shingles from which a passage holds it.</summary>
    public const double DefaultThreshold = 0.75;

    private readonly HeldOutIndex _index = new();
    private readonly double _threshold;

    /// <summary>Reads the held-out rows.</summary>
    /// <param name="heldOut">JSON or JSON-lines files: of rows with <c>messages</c> or <c>conversations</c> the
    /// contents of all turns but the system's, of others every string; the last text of a row is its answer.</param>
    /// <param name="threshold">Above 0, at most 1.</param>
    /// <exception cref="DatasetException">A file cannot be read or has no row with text.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threshold"/> is outside its range.</exception>
    public OverlapFinder(IEnumerable<string> heldOut, double threshold = DefaultThreshold)
    {
        ArgumentNullException.ThrowIfNull(heldOut);
        if (!(threshold > 0 && threshold <= 1))
        {
            throw new ArgumentOutOfRangeException(
                nameof(threshold), threshold, "The threshold is a share: above 0, at most 1.");
        }

        _threshold = threshold;
        var parts = new List<string>();
        foreach (var path in heldOut)
        {
            var before = _index.Rows.Count;
            foreach (var row in JsonRows.Read(path))
            {
                parts.Clear();
                OverlapTexts.Collect(row, parts);
                if (parts.Exists(part => !string.IsNullOrWhiteSpace(part)))
                {
                    _index.Add(row.Origin, parts);
                }
            }

            if (_index.Rows.Count == before)
            {
                throw new DatasetException($"{path}: the file has no row with text to look for.");
            }
        }
    }

    /// <summary>Held-out rows that are looked for.</summary>
    public int Rows => _index.Rows.Count;

    /// <summary>Looks through files in one pass, in memory bounded by their longest row or paragraph.</summary>
    /// <param name="texts">Files: <c>.json</c>, <c>.jsonl</c>, <c>.ndjson</c> as rows, others as plain text in
    /// UTF-8.</param>
    /// <param name="keep">Gets what holds no held-out row: rows as lines of JSON, paragraphs with the blank lines after
    /// them. Null to look only.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="DatasetException">A file cannot be read, or is not UTF-8 or JSON; rows and plain text together
    /// where something is kept.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was signalled.</exception>
    public OverlapReport Scan(
        IReadOnlyCollection<string> texts, Stream? keep = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        if (keep is not null && texts.Select(JsonRows.IsJson).Distinct().Count() > 1)
        {
            throw new DatasetException("What is kept becomes one file: expected rows or plain text, found both.");
        }

        var tally = new OverlapTally(_index, _threshold);
        foreach (var path in texts)
        {
            if (JsonRows.IsJson(path))
            {
                ScanRows(path, tally, keep, cancellation);
            }
            else
            {
                ScanParagraphs(path, tally, keep, cancellation);
            }
        }

        return tally.Report();
    }

    private static void ScanRows(string path, OverlapTally tally, Stream? keep, CancellationToken cancellation)
    {
        var strings = new List<string>();
        foreach (var row in JsonRows.Read(path))
        {
            cancellation.ThrowIfCancellationRequested();
            strings.Clear();
            row.AddStrings(strings);
            tally.Passage.Clear();
            foreach (var text in strings)
            {
                tally.Passage.Add(text);
            }

            var holds = tally.Judge(_ => row.Origin, null);
            tally.Count(holds);
            if (!holds && keep is not null)
            {
                WriteRow(row.Value, keep);
            }
        }
    }

    private static void ScanParagraphs(string path, OverlapTally tally, Stream? keep, CancellationToken cancellation)
    {
        Paragraph? previous = null;
        foreach (var paragraph in OverlapTexts.Paragraphs(path))
        {
            cancellation.ThrowIfCancellationRequested();
            tally.Passage.Clear();
            if (previous is not null)
            {
                tally.Passage.Add(previous.Text);
            }

            var start = tally.Passage.Words;
            tally.Passage.Add(paragraph.Text);
            var (before, current) = (previous, paragraph);
            tally.Judge(
                match => before is not null && match.First < start ? before.Origin : current.Origin,
                match =>
                {
                    current.Holds |= match.Last >= start;
                    if (before is not null)
                    {
                        before.Holds |= match.First < start;
                    }
                });
            Finish(previous, tally, keep);
            previous = paragraph;
        }

        Finish(previous, tally, keep);
    }

    private static void Finish(Paragraph? paragraph, OverlapTally tally, Stream? keep)
    {
        if (paragraph is null)
        {
            return;
        }

        tally.Count(paragraph.Holds);
        if (!paragraph.Holds && keep is not null)
        {
            keep.Write(System.Text.Encoding.UTF8.GetBytes(paragraph.Text));
        }
    }

    private static void WriteRow(JsonElement row, Stream keep)
    {
        var raw = row.GetRawText();
        if (raw.Contains('\n', StringComparison.Ordinal))
        {
            using var writer = new Utf8JsonWriter(keep);
            row.WriteTo(writer);
            writer.Flush();
        }
        else
        {
            keep.Write(System.Text.Encoding.UTF8.GetBytes(raw));
        }

        keep.Write("\n"u8);
    }
}
