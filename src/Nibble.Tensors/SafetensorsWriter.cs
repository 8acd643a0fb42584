namespace Nibble.Tensors;

/// <summary>A tensor that will be written.</summary>
/// <param name="Name">Unique name.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Dimensions, row-major; empty for a scalar.</param>
public sealed record SafetensorsDeclaration(string Name, SafetensorsType Type, long[] Shape);

/// <summary>
/// Writes a safetensors file in the reference layout (types descending, then names): declare every tensor, append
/// their bytes
/// in any order and in pieces of any size, commit. The file appears complete or not at all.
/// </summary>
public sealed class SafetensorsWriter : IDisposable
{
    private readonly AtomicFile _file;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private readonly Dictionary<string, long> _written;

    private SafetensorsWriter(AtomicFile file, Dictionary<string, SafetensorsEntry> entries) =>
        (_file, _entries, _written) =
        (file, entries, entries.Keys.ToDictionary(n => n, _ => 0L, StringComparer.Ordinal));

    /// <summary>Opens a temporary file and writes the header.</summary>
    /// <param name="path">The final name.</param>
    /// <param name="tensors">Every tensor the file will hold, in any order.</param>
    /// <param name="metadata">Strings to store; null for none. PyTorch's tools expect <c>format = pt</c>.</param>
    /// <exception cref="SafetensorsException">A name repeats or is reserved, or a shape is impossible.</exception>
    /// <exception cref="StorageException">The file cannot be written.</exception>
    public static SafetensorsWriter Create(
        string path,
        IEnumerable<SafetensorsDeclaration> tensors,
        IEnumerable<KeyValuePair<string, string>>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var sorted = tensors.ToArray();
        Array.Sort(sorted, (a, b) =>
            a.Type != b.Type ? b.Type.CompareTo(a.Type) : string.CompareOrdinal(a.Name, b.Name));
        var relative = new List<SafetensorsEntry>(sorted.Length);
        var position = 0L;
        var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
        foreach (var (name, type, shape) in sorted)
        {
            if (!names.Add(name))
            {
                throw new SafetensorsException(path, name, "unique names other than __metadata__", "the name again");
            }

            if (shape.Any(d => d < 0))
            {
                throw new SafetensorsException(
                    path, name, "dimensions from 0", $"[{string.Join(", ", shape)}]");
            }

            var bytes = SafetensorsHeader.ByteCount(path, name, type, shape);
            relative.Add(new SafetensorsEntry(name, type, [.. shape], position, bytes));
            position = checked(position + bytes);
        }

        var json = SafetensorsHeader.Write(relative, metadata ?? []);
        if (json.Length > SafetensorsHeader.MaximumLength)
        {
            throw new SafetensorsException(
                path, null, $"a header of at most {SafetensorsHeader.MaximumLength} bytes", $"{json.Length}");
        }

        var file = AtomicFile.Create(path);
        try
        {
            Span<byte> prefix = stackalloc byte[8];
            System.Buffers.Binary.BinaryPrimitives.WriteInt64LittleEndian(prefix, json.Length);
            file.Write(0, prefix);
            file.Write(8, json);
            var start = 8 + json.Length;
            return new SafetensorsWriter(
                file,
                relative.ToDictionary(e => e.Name, e => e with { Offset = e.Offset + start }, StringComparer.Ordinal));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Appends the next bytes of a tensor.</summary>
    /// <param name="name">A declared tensor.</param>
    /// <param name="bytes">Little-endian elements that follow those appended before.</param>
    /// <exception cref="SafetensorsException">The tensor is not declared, or would become longer than
    /// declared.</exception>
    /// <exception cref="StorageException">The file cannot be written.</exception>
    public void Append(string name, ReadOnlySpan<byte> bytes)
    {
        if (!_entries.TryGetValue(name, out var entry))
        {
            throw new SafetensorsException(_file.Path, name, "a declared tensor", "no such declaration");
        }

        var done = _written[name];
        if (bytes.Length > entry.ByteCount - done)
        {
            throw new SafetensorsException(
                _file.Path, name, $"{entry.ByteCount} bytes in all", $"at least {done + bytes.Length}");
        }

        _file.Write(entry.Offset + done, bytes);
        _written[name] = done + bytes.Length;
    }

    /// <summary>Appends the next elements of an F32 tensor.</summary>
    /// <param name="name">A declared F32 tensor.</param>
    /// <param name="values">Elements that follow those appended before.</param>
    /// <exception cref="SafetensorsException">The tensor is not declared as F32, or would become too long.</exception>
    /// <exception cref="StorageException">The file cannot be written.</exception>
    public void Append(string name, ReadOnlySpan<float> values)
    {
        if (_entries.TryGetValue(name, out var entry) && entry.Type != SafetensorsType.F32)
        {
            throw new SafetensorsException(_file.Path, name, entry.Type.Name(), "F32 values");
        }

        while (!values.IsEmpty)
        {
            var take = Math.Min(values.Length, 1 << 28);
            Append(name, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values[..take]));
            values = values[take..];
        }
    }

    /// <summary>Checks that every tensor is complete, flushes to the disk and renames.</summary>
    /// <exception cref="SafetensorsException">A tensor lacks bytes.</exception>
    /// <exception cref="StorageException">The file cannot be written.</exception>
    public void Commit()
    {
        foreach (var (name, entry) in _entries)
        {
            if (_written[name] != entry.ByteCount)
            {
                throw new SafetensorsException(
                    _file.Path, name, $"{entry.ByteCount} bytes", $"{_written[name]} when the file was to be finished");
            }
        }

        _file.Commit();
    }

    /// <summary>Removes the temporary file unless it was committed.</summary>
    public void Dispose() => _file.Dispose();
}
