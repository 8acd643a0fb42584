using System.CommandLine;
using System.Globalization;
using Nibble.Cli.Shell;
using Nibble.Data.Overlap;
using Nibble.Tensors;

namespace Nibble.Cli.Verbs;

/// <summary><c>nibble overlap</c>.</summary>
internal sealed class OverlapVerb : Verb
{
    /// <summary>Findings that are listed; the rest is counted.</summary>
    private const int MostListed = 20;

    private readonly Argument<string[]> _texts = new("texts")
    {
        Description = "Training rows (.json, .jsonl) or plain text to look through.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string[]> _heldOut = new("--held-out")
    {
        Description = "Rows (.json, .jsonl) that must not occur; of a row's texts the last is the answer.",
        Required = true,
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<double> _threshold = new("--threshold")
    {
        Description = "Share of a row's three-word shingles, in a window of twice its words, that counts as the row.",
        DefaultValueFactory = _ => OverlapFinder.DefaultThreshold,
    };

    private readonly Option<string?> _drop = new("--drop")
    {
        Description = "Write the rows or paragraphs that hold no held-out row to this file, and end with 0.",
    };

    public OverlapVerb()
        : base("overlap", "Say whether held-out rows, or near duplicates of them, occur in training rows or text.")
    {
        Add(_texts);
        Add(_heldOut);
        Add(_threshold);
        Add(_drop);
    }

    /// <inheritdoc/>
    public override int Run(ParseResult arguments, Session session)
    {
        var threshold = arguments.GetValue(_threshold);
        if (!(threshold > 0 && threshold <= 1))
        {
            throw new UsageException($"--threshold takes a share above 0, at most 1, found {threshold}.");
        }

        var texts = arguments.GetRequiredValue(_texts);
        var drop = arguments.GetValue(_drop);
        var heldOut = arguments.GetRequiredValue(_heldOut);
        if (drop is not null && texts.Concat(heldOut).FirstOrDefault(input => IsSameFile(input, drop)) is { } taken)
        {
            throw new UsageException($"--drop would overwrite {taken}, which is read: name another file.");
        }

        var finder = new OverlapFinder(heldOut, threshold);
        var report = session.Interruption.Graceful(
            stop => drop is null ? finder.Scan(texts, null, stop) : Drop(finder, texts, drop, stop));
        Show(report, finder.Rows, session.Terminal);
        if (drop is not null)
        {
            session.Terminal.Line(
                $"{drop}: {report.Passages - report.Dropped:N0} passages kept, {report.Dropped:N0} dropped.");
        }

        return report.HeldOutRows > 0 && drop is null ? ExitCode.Failed : ExitCode.Ok;
    }

    private static OverlapReport Drop(OverlapFinder finder, string[] texts, string path, CancellationToken stop)
    {
        var temporary = AtomicFile.TemporaryName(Path.GetFullPath(path));
        try
        {
            OverlapReport report;
            using (var stream = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                report = finder.Scan(texts, stream, stop);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
            return report;
        }
        catch (Exception e) when (StorageException.Concerns(e))
        {
            throw StorageException.Describe(path, e);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    // Letter case is left to the file system only where it tells names apart; elsewhere a near miss is refused too.
    private static bool IsSameFile(string one, string other) => string.Equals(
        Target(one), Target(other),
        OperatingSystem.IsLinux() ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase);

    private static string Target(string path) =>
        File.Exists(path) && File.ResolveLinkTarget(path, returnFinalTarget: true) is { } target
            ? target.FullName
            : Path.GetFullPath(path);

    private static void Show(OverlapReport report, int rows, Terminal terminal)
    {
        foreach (var finding in report.Findings.OrderByDescending(finding => finding.Containment).Take(MostListed))
        {
            terminal.Line($"{finding.HeldOut} in {finding.Where}: {Label(finding.Kind)}, {Share(finding.Containment)}");
        }

        if (report.HeldOutRows > MostListed)
        {
            terminal.Line($"and {report.HeldOutRows - MostListed} more rows");
        }

        if (report.Closest is { } closest)
        {
            terminal.Line($"closest pair that does not count: {closest.HeldOut} and {closest.Where}, "
                + Share(closest.Containment));
        }

        terminal.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"{report.HeldOutRows} of {rows} held-out rows occur in {report.Dropped:N0} of "
            + $"{report.Passages:N0} passages."));
    }

    private static string Label(OverlapKind kind) => kind switch
    {
        OverlapKind.SameAnswer => "same answer",
        OverlapKind.SameRequest => "same request",
        _ => "near duplicate",
    };

    private static string Share(double containment) =>
        string.Create(CultureInfo.InvariantCulture, $"{containment:0.00} of its shingles");
}
