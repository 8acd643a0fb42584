using Nibble.Cli.Shell;
using Nibble.Config;
using Nibble.Hosting;
using Nibble.Hub;
using Spectre.Console;

namespace Nibble.Cli.Views;

/// <summary>A download as it goes: on a terminal a bar, elsewhere a line at each tenth.</summary>
internal static class DownloadView
{
    /// <summary>Finds the files of a run.</summary>
    /// <param name="session">Terminal and interruption.</param>
    /// <param name="loaded">The config.</param>
    /// <param name="weights">Whether the base model's weights are wanted.</param>
    /// <param name="rows">Whether the data sets' rows are wanted.</param>
    public static LoadedConfig Find(Session session, LoadedConfig loaded, bool weights, bool rows) =>
        Show(session, (progress, stop) => RunFiles.Find(
            loaded,
            new RunFilesOptions
            {
                Weights = weights,
                Rows = rows,
                Progress = progress,
                Warn = session.Terminal.Warn,
            },
            stop));

    /// <summary>Runs work that may download.</summary>
    /// <param name="session">Terminal and interruption.</param>
    /// <param name="work">Takes the progress to report to, and the token that stops it.</param>
    public static T Show<T>(Session session, Func<IProgress<HubProgress>, CancellationToken, T> work) =>
        session.Interruption.Graceful(
            stop =>
            {
                if (!session.Terminal.IsLive)
                {
                    return work(new Lines(session.Terminal), stop);
                }

                return session.Terminal.Console.Progress().AutoClear(true)
                    .Columns(
                        new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(),
                        new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
                    .Start(context => work(new Bar(context), stop));
            },
            () => session.Terminal.Note("stopping: what has come stays, and the next attempt goes on there"));

    /// <summary>A line at each tenth of a download.</summary>
    /// <param name="terminal">Where to.</param>
    public static IProgress<HubProgress> AsLines(Terminal terminal) => new Lines(terminal);

    private sealed class Bar(ProgressContext context) : IProgress<HubProgress>
    {
        private readonly Dictionary<string, ProgressTask> _tasks = [];

        public void Report(HubProgress value)
        {
            if (!_tasks.TryGetValue(value.Repository, out var task))
            {
                task = context.AddTask(Markup.Escape(value.Repository));
                _tasks.Add(value.Repository, task);
            }

            // A model comes in two portions, its weights after its settings.
            task.MaxValue = Math.Max(1, value.TotalBytes);
            task.Value = value.Bytes;
        }
    }

    private sealed class Lines(Terminal terminal) : IProgress<HubProgress>
    {
        private const int Parts = 10;

        // What is here in a moment is told once, when it is.
        private const long Noteworthy = 16 << 20;

        private (string Repository, long Total, long Part) _last;

        public void Report(HubProgress value)
        {
            var isDone = value.Files == value.TotalFiles;
            var part = isDone ? Parts : Math.Min(Parts - 1, value.Bytes * Parts / Math.Max(1, value.TotalBytes));
            var isNew = (_last.Repository, _last.Total) != (value.Repository, value.TotalBytes);
            if ((!isNew && part <= _last.Part) || (!isDone && value.TotalBytes < Noteworthy))
            {
                return;
            }

            _last = (value.Repository, value.TotalBytes, part);
            terminal.Note(isDone
                ? $"downloaded {value.Repository}: {Words.Plural(value.Files, "file")}, {Words.Bytes(value.TotalBytes)}"
                : $"downloading {value.Repository}: {Words.Bytes(value.Bytes)} of {Words.Bytes(value.TotalBytes)}");
        }
    }
}
