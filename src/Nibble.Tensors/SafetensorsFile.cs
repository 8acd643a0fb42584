using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Nibble.Tensors;

/// <summary>
/// A safetensors file open for reading: the header is checked in full when opening, data is read on demand by position.
/// All members may be used from several threads at once.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    // Bytes read at a time when values are converted: large enough for disks, small enough for caches.
    private const int ChunkBytes = 1 << 20;

    private readonly SafeFileHandle _handle;

    private SafetensorsFile(
        string path,
        SafeFileHandle handle,
        Dictionary<string, SafetensorsEntry> tensors,
        Dictionary<string, string> metadata) =>
        (Path, _handle, Tensors, Metadata) = (path, handle, tensors, metadata);

    /// <summary>The path that was opened.</summary>
    public string Path { get; }

    /// <summary>The strings under <c>__metadata__</c>; empty when there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Every tensor by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">File to open.</param>
    /// <exception cref="SafetensorsException">The header or the length contradicts the format.</exception>
    /// <exception cref="IOException">The file cannot be opened or read.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            var length = RandomAccess.GetLength(handle);
            if (length < 8)
            {
                throw new SafetensorsException(
                    path, null, "at least the 8 bytes of the header length", $"{length} bytes");
            }

            Span<byte> prefix = stackalloc byte[8];
            ReadExactly(path, handle, 0, prefix);
            var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);

            // Refused before any allocation: a damaged length must not cost memory.
            if (headerLength > SafetensorsHeader.MaximumLength)
            {
                throw new SafetensorsException(
                    path,
                    null,
                    $"a header of at most {SafetensorsHeader.MaximumLength} bytes",
                    $"a header length of {headerLength} (is this a safetensors file?)");
            }

            if ((long)headerLength > length - 8)
            {
                throw new SafetensorsException(
                    path,
                    null,
                    $"a header of {headerLength} bytes",
                    $"{length - 8} bytes after the length (the file is cut off)");
            }

            var json = new byte[headerLength];
            ReadExactly(path, handle, 8, json);
            var (tensors, metadata) = SafetensorsHeader.Parse(path, json, length);
            return new SafetensorsFile(path, handle, tensors, metadata);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>The entry of a name.</summary>
    /// <param name="name">Tensor name.</param>
    /// <exception cref="SafetensorsException">There is none.</exception>
    public SafetensorsEntry Get(string name) =>
        Tensors.TryGetValue(name, out var entry)
            ? entry
            : throw new SafetensorsException(Path, name, "a tensor of that name", $"none among {Tensors.Count}");

    /// <summary>Reads raw bytes of a tensor.</summary>
    /// <param name="entry">One of <see cref="Tensors"/>.</param>
    /// <param name="offset">First byte within the tensor.</param>
    /// <param name="destination">Filled completely.</param>
    /// <exception cref="SafetensorsException">The range leaves the tensor, or the file shrank.</exception>
    public void Read(SafetensorsEntry entry, long offset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(entry);
        if (offset < 0 || offset > entry.ByteCount - destination.Length)
        {
            throw new SafetensorsException(
                Path, entry.Name, $"a range within {entry.ByteCount} bytes", $"{destination.Length} bytes at {offset}");
        }

        ReadExactly(Path, _handle, entry.Offset + offset, destination, entry.Name);
    }

    /// <summary>Reads a whole tensor as it is stored.</summary>
    /// <typeparam name="T">A type of the element's size; <see cref="byte"/> fits every tensor.</typeparam>
    /// <param name="entry">One of <see cref="Tensors"/>.</param>
    /// <returns>Elements, row-major.</returns>
    /// <exception cref="SafetensorsException">Size of <typeparamref name="T"/> differs, or the tensor exceeds an
    /// array.</exception>
    public T[] ReadAll<T>(SafetensorsEntry entry)
        where T : unmanaged
    {
        ArgumentNullException.ThrowIfNull(entry);
        var size = Unsafe.SizeOf<T>();
        if (typeof(T) != typeof(byte) && entry.Type.Bits() != 8 * size)
        {
            throw new SafetensorsException(Path, entry.Name, $"elements of {size} bytes", entry.ToString());
        }

        var count = ArrayLength(entry, entry.ByteCount / size);
        var values = new T[count];
        var done = 0;
        while (done < count)
        {
            // A span of bytes is limited to 2 GiB, an array of larger elements is not.
            var take = Math.Min(count - done, (1 << 30) / size);
            Read(entry, (long)done * size, MemoryMarshal.AsBytes(values.AsSpan(done, take)));
            done += take;
        }

        return values;
    }

    /// <summary>Reads a whole F32, BF16 or F16 tensor as binary32.</summary>
    /// <param name="entry">One of <see cref="Tensors"/>.</param>
    /// <returns>Elements, row-major; BF16 and F16 widen exactly.</returns>
    /// <exception cref="SafetensorsException">Another element type, or the tensor exceeds an array.</exception>
    public float[] ReadSingle(SafetensorsEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        var values = new float[ArrayLength(entry, entry.Count)];
        ReadSingle(entry, 0, values);
        return values;
    }

    /// <summary>Reads elements of an F32, BF16 or F16 tensor as binary32.</summary>
    /// <param name="entry">One of <see cref="Tensors"/>.</param>
    /// <param name="first">First element.</param>
    /// <param name="destination">Filled completely.</param>
    /// <exception cref="SafetensorsException">Another element type, or the range leaves the tensor.</exception>
    public void ReadSingle(SafetensorsEntry entry, long first, Span<float> destination)
    {
        ArgumentNullException.ThrowIfNull(entry);
        switch (entry.Type)
        {
            case SafetensorsType.F32:
                while (!destination.IsEmpty)
                {
                    var take = Math.Min(destination.Length, (1 << 30) / sizeof(float));
                    Read(entry, checked(first * sizeof(float)), MemoryMarshal.AsBytes(destination[..take]));
                    destination = destination[take..];
                    first += take;
                }

                break;
            case SafetensorsType.BF16 or SafetensorsType.F16:
                ReadHalves(entry, first, destination);
                break;
            default:
                throw new SafetensorsException(Path, entry.Name, "F32, BF16 or F16", entry.Type.Name());
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _handle.Dispose();

    private static void ReadExactly(
        string path, SafeFileHandle handle, long position, Span<byte> destination, string? tensor = null)
    {
        while (!destination.IsEmpty)
        {
            var read = RandomAccess.Read(handle, destination, position);
            if (read == 0)
            {
                throw new SafetensorsException(
                    path, tensor, $"{destination.Length} more bytes at {position}", "the end of the file");
            }

            destination = destination[read..];
            position += read;
        }
    }

    private void ReadHalves(SafetensorsEntry entry, long first, Span<float> destination)
    {
        var rented = ArrayPool<byte>.Shared.Rent(Math.Min(ChunkBytes, Math.Max(2, destination.Length * 2)));
        try
        {
            while (!destination.IsEmpty)
            {
                var take = Math.Min(destination.Length, rented.Length / 2);
                var bytes = rented.AsSpan(0, take * 2);
                Read(entry, checked(first * 2), bytes);
                if (entry.Type == SafetensorsType.BF16)
                {
                    Bf16.ToSingle(MemoryMarshal.Cast<byte, ushort>(bytes), destination[..take]);
                }
                else
                {
                    var halves = MemoryMarshal.Cast<byte, Half>(bytes);
                    for (var i = 0; i < halves.Length; i++)
                    {
                        destination[i] = (float)halves[i];
                    }
                }

                destination = destination[take..];
                first += take;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private int ArrayLength(SafetensorsEntry entry, long count) =>
        count <= Array.MaxLength
            ? (int)count
            : throw new SafetensorsException(
                Path, entry.Name, $"at most {Array.MaxLength} elements in one read", $"{count}; read it in pieces");
}
