using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// Pinned host memory through which uploads pass, so that the caller's bytes may be reused at once and the stream never
/// waits. Chunks are filled in turn; a chunk is refilled only after the copies out of it have run.
/// </summary>
internal sealed unsafe class StagingRing : IDisposable
{
    private const int ChunkBytes = 2 << 20;
    private const int Chunks = 8;
    private const int Alignment = 256;

    private readonly CudaContext _context;
    private readonly DeviceMemory _memory;
    private readonly nint[] _copied = new nint[Chunks];
    private readonly bool[] _pending = new bool[Chunks];
    private int _chunk;
    private int _used;

    internal StagingRing(CudaContext context)
    {
        _context = context;
        _memory = context.Allocate((long)ChunkBytes * Chunks, MemoryKind.PinnedHost);
        for (var i = 0; i < Chunks; i++)
        {
            CudaException.Check(Driver.EventCreate(out _copied[i], Driver.EventDisableTiming));
        }
    }

    internal void Upload(ReadOnlySpan<byte> source, nint destination)
    {
        _context.MakeCurrent();
        while (source.Length > 0)
        {
            // A small upload that does not fit in what is left starts a chunk of its own rather than two copies.
            if (_used == ChunkBytes || (_used > 0 && source.Length > ChunkBytes - _used))
            {
                NextChunk();
            }

            var bytes = Math.Min(source.Length, ChunkBytes - _used);
            var staged = _memory.Address + (nint)((long)_chunk * ChunkBytes) + _used;
            source[..bytes].CopyTo(new Span<byte>((void*)staged, bytes));
            CudaException.Check(Driver.MemcpyAsync(destination, staged, (nuint)bytes, _context.Stream));
            CudaException.Check(Driver.EventRecord(_copied[_chunk], _context.Stream));
            _pending[_chunk] = true;
            _used = Math.Min(ChunkBytes, (_used + bytes + Alignment - 1) / Alignment * Alignment);
            source = source[bytes..];
            destination += bytes;
        }
    }

    public void Dispose()
    {
        _memory.Dispose();
        foreach (var handle in _copied)
        {
            _ = Driver.EventDestroy(handle);
        }
    }

    private void NextChunk()
    {
        _chunk = (_chunk + 1) % Chunks;
        _used = 0;
        if (_pending[_chunk])
        {
            CudaException.Check(Driver.EventSynchronize(_copied[_chunk]));
            _pending[_chunk] = false;
        }
    }
}
