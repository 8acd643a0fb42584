using Nibble.Cuda.Interop;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// A second stream, for copies between the card and pinned host memory that run beside the ops. A copy starts after
/// everything that was enqueued on the first stream before it; the first stream waits for a copy where it is told to.
/// The host never waits.
/// </summary>
internal sealed class CopyStream : IDisposable
{
    private const int Events = 8;

    private readonly CudaContext _context;
    private readonly nint _stream;
    private readonly nint _ready;

    // Copy n is marked by event n mod 8. An event that a later copy has taken over since makes its waiters wait for
    // that copy, which ends no earlier: longer than needed, never too short.
    private readonly nint[] _ended = new nint[Events];

    internal CopyStream(CudaContext context)
    {
        _context = context;
        CudaException.Check(Driver.StreamCreate(out _stream, Driver.StreamNonBlocking));
        CudaException.Check(Driver.EventCreate(out _ready, Driver.EventDisableTiming));
        for (var i = 0; i < Events; i++)
        {
            CudaException.Check(Driver.EventCreate(out _ended[i], Driver.EventDisableTiming));
        }
    }

    /// <summary>Copies started so far.</summary>
    internal long Started { get; private set; }

    /// <summary>Starts a copy and gives its number.</summary>
    internal long Start(nint source, nint destination, long bytes)
    {
        _context.MakeCurrent();
        CudaException.Check(Driver.EventRecord(_ready, _context.Stream));
        CudaException.Check(Driver.StreamWaitEvent(_stream, _ready, 0));
        if (bytes > 0)
        {
            CudaException.Check(Driver.MemcpyAsync(destination, source, (nuint)bytes, _stream), "cuMemcpyAsync");
        }

        Started++;
        CudaException.Check(Driver.EventRecord(_ended[Started % Events], _stream));
        return Started;
    }

    /// <summary>Lets what is enqueued on the first stream from now on wait for a copy.</summary>
    internal void Await(long number)
    {
        _context.MakeCurrent();
        CudaException.Check(Driver.StreamWaitEvent(_context.Stream, _ended[number % Events], 0));
    }

    internal void Synchronize() => CudaException.Check(Driver.StreamSynchronize(_stream));

    public void Dispose()
    {
        _ = Driver.StreamDestroy(_stream);
        _ = Driver.EventDestroy(_ready);
        foreach (var handle in _ended)
        {
            _ = Driver.EventDestroy(handle);
        }
    }
}
