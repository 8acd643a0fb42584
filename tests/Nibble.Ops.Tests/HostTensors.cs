using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>Tensors of a test on one backend, from and to arrays.</summary>
internal sealed class HostTensors(IBackend backend) : IDisposable
{
    private readonly List<DeviceMemory> _memory = [];

    public TensorView Empty(DType type, int rows, int cols)
    {
        var memory = backend.Allocate(Math.Max(1, (long)rows * cols * type.Size()));
        _memory.Add(memory);
        return new TensorView(memory.Address, type, rows, cols);
    }

    public TensorView From<T>(DType type, int rows, int cols, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        var view = Empty(type, rows, cols);
        backend.Upload(MemoryMarshal.AsBytes(values), view);
        return view;
    }

    public TensorView Row(ReadOnlySpan<float> values) => From(DType.F32, 1, values.Length, values);

    public TensorView Row(ReadOnlySpan<byte> values) => From(DType.U8, 1, values.Length, values);

    public T[] Read<T>(TensorView view)
        where T : unmanaged
    {
        var values = new T[view.Count];
        backend.Download(view, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    public void Dispose() => _memory.ForEach(m => m.Dispose());
}
