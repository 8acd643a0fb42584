using Nibble.Ops;
using Nibble.Tensors;

namespace Nibble.Hosting.Benchmarks;

/// <summary>
/// A backend that waits for every op and adds up what each took. Waiting keeps ops from overlapping with the host, so
/// the sum is the time the device was busy, up to the measured cost of an empty wait, which is taken off every call.
/// </summary>
internal sealed class MeasuredBackend : ForwardingBackend
{
    private readonly Dictionary<string, (TimeSpan Time, int Calls)> _times = [];
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly TimeSpan _overhead;

    public MeasuredBackend(IBackend inner, TensorView scratch)
        : base(inner)
    {
        var waits = new List<TimeSpan>();
        for (var i = 0; i < 64; i++)
        {
            inner.Synchronize();
            var started = _time.GetTimestamp();
            inner.Zero(scratch);
            inner.Synchronize();
            waits.Add(_time.GetElapsedTime(started));
        }

        waits.Sort();
        _overhead = waits[waits.Count / 2];
    }

    /// <summary>Time and calls of every op since the last <see cref="Reset"/>, longest first.</summary>
    public IReadOnlyList<(string Op, TimeSpan Time, int Calls)> Times =>
        [.. _times.Select(t => (t.Key, t.Value.Time, t.Value.Calls)).OrderByDescending(t => t.Time)];

    public void Reset() => _times.Clear();

    /// <inheritdoc/>
    protected override long Before() => _time.GetTimestamp();

    /// <inheritdoc/>
    protected override void After(string op, long before)
    {
        Synchronize();
        var elapsed = _time.GetElapsedTime(before) - _overhead;
        var (time, calls) = _times.GetValueOrDefault(op);
        _times[op] = (time + (elapsed > TimeSpan.Zero ? elapsed : TimeSpan.Zero), calls + 1);
    }
}
