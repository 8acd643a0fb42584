using System.Buffers;
using System.Runtime.InteropServices;
using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// Product kernels chosen by timing, one line per class of shapes: class, tab, 64 bytes in hexadecimal. One file per
/// card, library version, workspace size and number of proposals, because a choice means nothing elsewhere.
/// </summary>
internal sealed class TuningFile
{
    private static readonly SearchValues<char> Hexadecimal = SearchValues.Create("0123456789abcdef");

    private readonly string _path;
    private readonly Dictionary<string, string> _choices;

    internal TuningFile(string folder, string card, long version, long workspaceBytes, int proposals)
    {
        var name = string.Concat(card.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToLowerInvariant(c) : '-'));
        _path = Path.Combine(folder, $"products-{name}-{version}-{workspaceBytes >> 20}-{proposals}.tsv");
        _choices = Read();
    }

    /// <summary>The choice of an earlier run, or of another that runs beside this one, or null.</summary>
    internal CublasLt.Algorithm? Find(in ProductClass kind)
    {
        var name = kind.ToString();
        if (!_choices.TryGetValue(name, out var text))
        {
            Merge();
            if (!_choices.TryGetValue(name, out text))
            {
                return null;
            }
        }

        CublasLt.Algorithm algorithm = default;
        Convert.FromHexString(text).CopyTo(MemoryMarshal.AsBytes(new Span<CublasLt.Algorithm>(ref algorithm)));
        return algorithm;
    }

    /// <summary>Records a choice at once: a run that is killed later resumes with the same kernels.</summary>
    internal void Add(in ProductClass kind, CublasLt.Algorithm algorithm)
    {
        var bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<CublasLt.Algorithm>(in algorithm));
        _choices[kind.ToString()] = Convert.ToHexStringLower(bytes);
        Merge();

        try
        {
            var lines = _choices.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => $"{c.Key}\t{c.Value}\n");
            AtomicFile.WriteAllText(_path, string.Concat(lines));
        }
        catch (StorageException)
        {
            // The choice holds for this process all the same.
        }
    }

    // What another process recorded meanwhile stays.
    private void Merge()
    {
        foreach (var (key, value) in Read())
        {
            _choices.TryAdd(key, value);
        }
    }

    private Dictionary<string, string> Read()
    {
        var choices = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            foreach (var line in File.Exists(_path) ? File.ReadAllLines(_path) : [])
            {
                var tab = line.IndexOf('\t', StringComparison.Ordinal);
                if (tab > 0 && line.Length == tab + 1 + 128 && !line.AsSpan(tab + 1).ContainsAnyExcept(Hexadecimal))
                {
                    choices[line[..tab]] = line[(tab + 1)..];
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            choices.Clear();
        }

        return choices;
    }
}
