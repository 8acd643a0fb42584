using System.Runtime.CompilerServices;
using Nibble.Tensors;

namespace Nibble.Hosting.Benchmarks;

/// <summary>
/// A backend that waits for every op and adds up what each took. Waiting keeps ops from overlapping with the host, so
/// the sum is the time the device was busy, up to the measured cost of an empty wait, which is taken off every call.
/// </summary>
internal sealed partial class MeasuredBackend : IBackend
{
    private readonly Dictionary<string, (TimeSpan Time, int Calls)> _times = [];
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly IBackend inner;
    private readonly TimeSpan _overhead;

    public MeasuredBackend(IBackend inner, TensorView scratch)
    {
        this.inner = inner;
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

    public string Name => inner.Name;

    public DType ActivationType => inner.ActivationType;

    public TensorView DequantizationScratch
    {
        get => inner.DequantizationScratch;
        set => inner.DequantizationScratch = value;
    }

    public bool NeedsDequantizationScratch => inner.NeedsDequantizationScratch;

    public void Reset() => _times.Clear();

    public DeviceMemory Allocate(long bytes, MemoryKind kind = MemoryKind.Device) => inner.Allocate(bytes, kind);

    public void Upload(ReadOnlySpan<byte> source, TensorView destination)
    {
        using var _ = Measure();
        inner.Upload(source, destination);
    }

    public void Download(TensorView source, Span<byte> destination) => inner.Download(source, destination);

    public void Zero(TensorView destination)
    {
        using var _ = Measure();
        inner.Zero(destination);
    }

    public void Synchronize() => inner.Synchronize();

    public void Dispose()
    {
    }

    // Ends with the op's own block, under the op's own name.
    private Measurement Measure([CallerMemberName] string op = "") => new(this, op, _time.GetTimestamp());

    private void Stop(string op, long started)
    {
        inner.Synchronize();
        var elapsed = _time.GetElapsedTime(started) - _overhead;
        var (time, calls) = _times.GetValueOrDefault(op);
        _times[op] = (time + (elapsed > TimeSpan.Zero ? elapsed : TimeSpan.Zero), calls + 1);
    }

    private readonly struct Measurement(MeasuredBackend owner, string op, long started) : IDisposable
    {
        public void Dispose() => owner.Stop(op, started);
    }
}
