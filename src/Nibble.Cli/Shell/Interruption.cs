using System.Runtime.InteropServices;

namespace Nibble.Cli.Shell;

/// <summary>
/// Ctrl-C and SIGTERM. Outside <see cref="Graceful"/> the first leaves at once with exit code 130; inside it the first
/// asks the work to stop in its own time and the second leaves at once.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;
    private readonly Lock _lock = new();
    private CancellationTokenSource? _work;
    private Action? _asked;

    /// <summary>Starts listening.</summary>
    public Interruption()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
    }

    /// <summary>Runs work that can stop in its own time.</summary>
    /// <param name="work">Takes the token that asks it to stop.</param>
    /// <param name="asked">Told once, when that happens; null says nothing.</param>
    public T Graceful<T>(Func<CancellationToken, T> work, Action? asked = null)
    {
        using var source = new CancellationTokenSource();
        lock (_lock)
        {
            (_work, _asked) = (source, asked);
        }

        try
        {
            return work(source.Token);
        }
        finally
        {
            lock (_lock)
            {
                (_work, _asked) = (null, null);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;
        lock (_lock)
        {
            if (_work is { IsCancellationRequested: false } work)
            {
                _asked?.Invoke();
                work.Cancel();
                return;
            }
        }

        if (!System.Console.IsOutputRedirected)
        {
            // A progress display hides the cursor; nothing else will bring it back.
            System.Console.Out.Write("\u001b[?25h\n");
        }

        Environment.Exit(ExitCode.Interrupted);
    }
}
