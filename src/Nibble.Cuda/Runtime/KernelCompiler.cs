using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// Turns embedded kernel texts into loaded modules: compiled once per architecture, kept on disk under a key of
/// everything that went into them.
/// </summary>
internal sealed unsafe class KernelCompiler : IDisposable
{
    private const string CubinExtension = ".cubin";

    private readonly Dictionary<string, nint> _modules = [];
    private readonly string _folder;
    private readonly (string Name, string Source)[] _headers;
    private string? _compilerVersion;

    internal KernelCompiler(string architecture, string folder)
    {
        (Architecture, _folder) = (architecture, folder);
        _headers = [.. Resources(".cuh").Select(name => (name, Text(name)))];
    }

    /// <summary>Architecture compiled for, e.g. <c>sm_90a</c>.</summary>
    internal string Architecture { get; }

    /// <summary>Modules that had to be compiled because the disk had none.</summary>
    internal int Compiled { get; private set; }

    /// <summary>Why the cache on disk is not used, or null.</summary>
    internal string? CacheProblem { get; private set; }

    /// <summary>The handle of a kernel for an activation type.</summary>
    internal nint Resolve(Kernel kernel, DType activation)
    {
        var options = Options(kernel, activation);
        var key = string.Join(' ', options.Prepend(kernel.File));
        if (!_modules.TryGetValue(key, out var module))
        {
            module = Load(kernel.File, options);
            _modules.Add(key, module);
        }

        CudaException.Check(Driver.ModuleGetFunction(out var function, module, kernel.Name),
            $"cuModuleGetFunction {kernel.Name}");
        if (kernel.DynamicSharedBytes > 48 << 10)
        {
            CudaException.Check(
                Driver.FuncSetAttribute(function, Driver.FunctionMaxDynamicShared, kernel.DynamicSharedBytes),
                $"cuFuncSetAttribute {kernel.Name}");
        }

        return function;
    }

    public void Dispose()
    {
        foreach (var module in _modules.Values)
        {
            _ = Driver.ModuleUnload(module);
        }

        _modules.Clear();
    }

    private string[] Options(Kernel kernel, DType activation)
    {
        var type = activation switch
        {
            DType.F32 => "-DACTIVATION_F32=1",
            DType.BF16 => "-DACTIVATION_BF16=1",
            _ => "-DACTIVATION_NONE=1",
        };
        return [$"--gpu-architecture={Architecture}", "-std=c++17", "-default-device", type,
            .. kernel.Defines.Select(d => "-D" + d)];
    }

    private nint Load(string file, string[] options)
    {
        var source = Text(file);
        var path = Path.Combine(_folder, Key(file, source, options) + CubinExtension);
        if (ReadCached(path) is { } cached && TryLoad(cached, out var module) == 0)
        {
            return module;
        }

        var cubin = Nvrtc.Compile(file, source, _headers, options);
        Compiled++;
        CudaException.Check(TryLoad(cubin, out module), $"cuModuleLoadData {file}");
        WriteCached(path, cubin);
        return module;
    }

    private static int TryLoad(byte[] cubin, out nint module)
    {
        fixed (byte* image = cubin)
        {
            return Driver.ModuleLoadData(out module, image);
        }
    }

    private string Key(string file, string source, string[] options)
    {
        if (_compilerVersion is null)
        {
            CudaException.Check(Nvrtc.Version(out var major, out var minor), "nvrtcVersion");
            _compilerVersion = string.Create(CultureInfo.InvariantCulture, $"{major}.{minor}");
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in options.Prepend(_compilerVersion).Append(file).Append(source)
            .Concat(_headers.SelectMany(h => new[] { h.Name, h.Source })))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(text));
            hash.AppendData([0]);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    // A file is the SHA-256 of the cubin, then the cubin: a damaged one is compiled again.
    private byte[]? ReadCached(string path)
    {
        try
        {
            if (!File.Exists(path))
            {
                return null;
            }

            var bytes = File.ReadAllBytes(path);
            if (bytes.Length <= SHA256.HashSizeInBytes)
            {
                return null;
            }

            var cubin = bytes[SHA256.HashSizeInBytes..];
            return bytes.AsSpan(0, SHA256.HashSizeInBytes).SequenceEqual(SHA256.HashData(cubin)) ? cubin : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            CacheProblem = e.Message;
            return null;
        }
    }

    private void WriteCached(string path, byte[] cubin)
    {
        try
        {
            AtomicFile.WriteAllBytes(path, [.. SHA256.HashData(cubin), .. cubin]);
        }
        catch (StorageException e)
        {
            CacheProblem = e.Message;
        }
    }

    private static IEnumerable<string> Resources(string extension) =>
        typeof(KernelCompiler).Assembly.GetManifestResourceNames()
            .Where(name => name.EndsWith(extension, StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    private static string Text(string name)
    {
        using var stream = typeof(KernelCompiler).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"kernel file {name} is not part of this build");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
