using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Nibble.Cpu.Threading;

/// <summary>
/// A fixed team of threads, the caller among them, that runs the units of one job at a time. Members take the next unit
/// from a shared ticket, so a descheduled or slow core delays one unit and not a share of the job; units write disjoint
/// outputs, so results do not depend on the assignment. A run allocates nothing. Idle members spin briefly, because the
/// next op of a step follows within microseconds, then park.
/// </summary>
internal sealed unsafe class ThreadTeam : IDisposable
{
    // Longer than the gaps between the ops of a step, shorter than a time slice.
    private static readonly long SpinTicks = Stopwatch.Frequency / 10_000;

    private readonly Thread[] _threads;
    private readonly AutoResetEvent[] _wake;
    private readonly int[] _parked;

    // Upper half: number of the run; lower half: units not yet taken. A member that reads a stale ticket fails to
    // exchange it, and a finished run has nothing left to take, so the fields below are always those of the ticket.
    private long _ticket;
    private void* _job;
    private delegate*<void*, int, int, void> _invoke;
    private int _units;
    private int _completed;
    private volatile bool _stopping;
    private ExceptionDispatchInfo? _failure;

    /// <summary>Starts the team.</summary>
    /// <param name="size">Members including the caller, at least 1.</param>
    public ThreadTeam(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        Size = size;
        _threads = new Thread[size - 1];
        _wake = new AutoResetEvent[size - 1];
        _parked = new int[size - 1];
        for (var i = 0; i < _threads.Length; i++)
        {
            var worker = i + 1;
            _wake[i] = new AutoResetEvent(false);
            _threads[i] = new Thread(() => Serve(worker)) { IsBackground = true, Name = $"Nibble.Cpu {worker}" };
            _threads[i].Start();
        }
    }

    /// <summary>Members including the caller.</summary>
    public int Size { get; }

    /// <summary>Runs every unit of a job and returns when all are done.</summary>
    /// <param name="job">Stays on this thread's stack while the team works on it.</param>
    /// <param name="units">How many units; 0 does nothing.</param>
    public void Run<TJob>(TJob job, int units)
        where TJob : struct, IJob
    {
        if (units <= 1 || Size == 1)
        {
            for (var unit = 0; unit < units; unit++)
            {
                job.Run(unit, 0);
            }

            return;
        }

        // Members reach the job by its address: it lives on this stack frame until the last unit has completed.
        _job = Unsafe.AsPointer(ref job);
        _invoke = &Invoke<TJob>;
        _units = units;
        _completed = 0;
        var run = (Volatile.Read(ref _ticket) >> 32) + 1;
        Interlocked.Exchange(ref _ticket, (run << 32) | (uint)units);
        for (var i = 0; i < _parked.Length && i < units - 1; i++)
        {
            if (Volatile.Read(ref _parked[i]) == 1 && Interlocked.Exchange(ref _parked[i], 0) == 1)
            {
                _wake[i].Set();
            }
        }

        while (TryRunUnit(0))
        {
        }

        var spins = 0;
        while (Volatile.Read(ref _completed) != units)
        {
            if (++spins < 2000)
            {
                Thread.SpinWait(8);
            }
            else
            {
                Thread.Yield();
            }
        }

        GC.KeepAlive(this);
        if (_failure is { } failure)
        {
            _failure = null;
            failure.Throw();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        foreach (var wake in _wake)
        {
            wake.Set();
        }

        for (var i = 0; i < _threads.Length; i++)
        {
            _threads[i].Join();
            _wake[i].Dispose();
        }
    }

    private static void Invoke<TJob>(void* job, int unit, int worker)
        where TJob : struct, IJob => Unsafe.AsRef<TJob>(job).Run(unit, worker);

    private bool TryRunUnit(int worker)
    {
        while (true)
        {
            var ticket = Volatile.Read(ref _ticket);
            var left = (int)ticket;
            if (left == 0)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _ticket, ticket - 1, ticket) != ticket)
            {
                continue;
            }

            try
            {
                _invoke(_job, _units - left, worker);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(e), null);
            }

            Interlocked.Increment(ref _completed);
            return true;
        }
    }

    private void Serve(int worker)
    {
        var lastWork = Stopwatch.GetTimestamp();
        while (!_stopping)
        {
            if (TryRunUnit(worker))
            {
                lastWork = Stopwatch.GetTimestamp();
                continue;
            }

            Thread.SpinWait(8);
            if (Stopwatch.GetTimestamp() - lastWork < SpinTicks)
            {
                continue;
            }

            Park(worker - 1);
            lastWork = Stopwatch.GetTimestamp();
        }
    }

    private void Park(int index)
    {
        Interlocked.Exchange(ref _parked[index], 1);

        // A run published before the flag was visible has not seen it: look once more before waiting.
        if ((int)Volatile.Read(ref _ticket) != 0 && Interlocked.Exchange(ref _parked[index], 0) == 1)
        {
            return;
        }

        if (!_stopping)
        {
            _wake[index].WaitOne();
        }
    }
}
