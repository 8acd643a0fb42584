using Nibble.Cli.Shell;
using Nibble.Cli.Views;
using Nibble.Config;
using Nibble.Data;
using Nibble.Hosting;
using Nibble.Planning;
using Spectre.Console;

namespace Nibble.Cli.Verbs;

/// <summary>Reading a run's rows and opening its device, with a sign of life.</summary>
internal static class Preparation
{
    /// <summary>Prepares a run.</summary>
    /// <param name="loaded">The config.</param>
    /// <param name="terminal">Shows how far it is.</param>
    /// <param name="stop">Stops between rows.</param>
    /// <param name="assumed">A device to plan for that need not be here, or null.</param>
    public static PreparedRun Prepare(
        LoadedConfig loaded, Terminal terminal, CancellationToken stop, DeviceTraits? assumed = null) =>
        Watch(terminal, progress => PreparedRun.Create(loaded, progress, assumed, stop));

    /// <summary>Runs work that reads rows.</summary>
    /// <param name="terminal">Shows how far it is.</param>
    /// <param name="work">Takes the progress to report to.</param>
    public static T Watch<T>(Terminal terminal, Func<IProgress<DataProgress>?, T> work) => terminal.IsLive
        ? terminal.Console.Status().Start("reading rows", context => work(new RowCount(context)))
        : work(null);

    private sealed class RowCount(StatusContext context) : IProgress<DataProgress>
    {
        public void Report(DataProgress value) => context.Status = Markup.Escape(
            $"reading {value.Dataset}: {Words.Count(value.Rows)} rows, {Words.Count(value.Tokens)} tokens");
    }
}
