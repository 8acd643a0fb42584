using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Nibble.Cuda.Interop;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// Turns embedded kernel texts into loaded modules: compiled once per architecture, kept on disk under a key of
/// everything that went into them.
/// </summary>
internal sealed unsafe partial class KernelCompiler : IDisposable
{
    private const string CubinExtension = ".cubin";

    private readonly Dictionary<string, nint> _modules = [];
    private readonly ConcurrentDictionary<string, Lazy<byte[]>> _cubins = [];
    private readonly string _folder;
    private readonly (string Name, string Source)[] _headers;
    private readonly Lazy<string> _compilerVersion = new(CompilerVersion);
    private int _compiled;

    internal KernelCompiler(string architecture, string folder)
    {
        (Architecture, _folder) = (architecture, folder);
        _headers = [.. Resources(".cuh").Select(name => (name, Text(name)))];
    }

    /// <summary>Architecture compiled for, e.g. <c>sm_90a</c>.</summary>
    internal string Architecture { get; }

    /// <summary>Modules that had to be compiled because the disk had none.</summary>
    internal int Compiled => _compiled;

    /// <summary>Why the cache on disk is not used, or null.</summary>
    internal string? CacheProblem { get; private set; }

    /// <summary>The handle of a kernel for an activation type.</summary>
    internal nint Resolve(Kernel kernel, DType activation)
    {
        var options = Options(activation, kernel.Defines);
        var key = Key(kernel.File, options);
        if (!_modules.TryGetValue(key, out var module))
        {
            module = Load(key, kernel.File, options);
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

    /// <summary>
    /// Compiles on other threads what the disk has not: the variants that each file lists for checking. One that is not
    /// among them, or not done yet, is compiled when it is first launched.
    /// </summary>
    /// <param name="activation">Activation type.</param>
    /// <returns>Ends it when disposed; what is being compiled then is still kept.</returns>
    internal IDisposable CompileAhead(DType activation)
    {
        var waiting = new ConcurrentQueue<Lazy<byte[]>>(
            Units(Architecture, activation).Select(u => Cubin(Key(u.File, u.Options), u.File, u.Options)));
        for (var i = 1; i < Environment.ProcessorCount; i++)
        {
            _ = Task.Factory.StartNew(
                () =>
                {
                    while (waiting.TryDequeue(out var cubin))
                    {
                        try
                        {
                            _ = cubin.Value;
                        }
                        catch (CudaException)
                        {
                            // Whoever launches the kernel is told.
                        }
                    }
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        return new Ahead(waiting);
    }

    /// <summary>Files with their options for an architecture: those made for it alone first, then those of one
    /// variant.</summary>
    internal static IEnumerable<(string File, string[] Options)> Units(string architecture, DType activation)
    {
        var units = new List<(int Order, string File, string[] Options)>();
        foreach (var file in Resources(".cu"))
        {
            var text = Text(file);
            var only = Listed(text, "// check-arch: ");
            if (only.Count > 0 && !only.Contains(architecture))
            {
                continue;
            }

            var variants = Listed(text, "// check: ");
            var type = ActivationPattern().IsMatch(text) ? activation : DType.U8;
            var order = only.Count > 0 ? 0 : variants.Count <= 1 ? 1 : 2;
            units.AddRange((variants.Count > 0 ? variants : [""]).Select(v => (order, file, Options(
                architecture, type, v.Split(' ', StringSplitOptions.RemoveEmptyEntries)))));
        }

        return units.OrderBy(u => u.Order).Select(u => (u.File, u.Options));
    }

    public void Dispose()
    {
        foreach (var module in _modules.Values)
        {
            _ = Driver.ModuleUnload(module);
        }

        _modules.Clear();
    }

    private static List<string> Listed(string text, string mark) =>
    [
        .. text.Split('\n').Where(l => l.StartsWith(mark, StringComparison.Ordinal))
            .Select(l => l[mark.Length..].Trim()),
    ];

    private static string Key(string file, string[] options) => string.Join(' ', options.Prepend(file));

    private string[] Options(DType activation, IEnumerable<string> defines) =>
        Options(Architecture, activation, defines);

    private static string[] Options(string architecture, DType activation, IEnumerable<string> defines)
    {
        var type = activation switch
        {
            DType.F32 => "-DACTIVATION_F32=1",
            DType.BF16 => "-DACTIVATION_BF16=1",
            _ => "-DACTIVATION_NONE=1",
        };
        return [$"--gpu-architecture={architecture}", "-std=c++17", "-default-device", type,
            .. defines.Select(d => "-D" + d)];
    }

    private nint Load(string key, string file, string[] options)
    {
        var cubin = Cubin(key, file, options).Value;
        _cubins.TryRemove(key, out _);
        if (TryLoad(cubin, out var module) != 0)
        {
            // What the disk had is whole but not for this driver.
            CudaException.Check(TryLoad(Compile(file, Text(file), options), out module), $"cuModuleLoadData {file}");
        }

        return module;
    }

    private Lazy<byte[]> Cubin(string key, string file, string[] options) =>
        _cubins.GetOrAdd(key, _ => new Lazy<byte[]>(() =>
        {
            var source = Text(file);
            return ReadCached(CachePath(file, source, options)) ?? Compile(file, source, options);
        }));

    private byte[] Compile(string file, string source, string[] options)
    {
        var cubin = Nvrtc.Compile(file, source, _headers, options);
        Interlocked.Increment(ref _compiled);
        WriteCached(CachePath(file, source, options), cubin);
        return cubin;
    }

    private static int TryLoad(byte[] cubin, out nint module)
    {
        fixed (byte* image = cubin)
        {
            return Driver.ModuleLoadData(out module, image);
        }
    }

    private static string CompilerVersion()
    {
        CudaException.Check(Nvrtc.Version(out var major, out var minor), "nvrtcVersion");
        return string.Create(CultureInfo.InvariantCulture, $"{major}.{minor}");
    }

    private string CachePath(string file, string source, string[] options)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in options.Prepend(_compilerVersion.Value).Append(file).Append(source)
            .Concat(_headers.SelectMany(h => new[] { h.Name, h.Source })))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(text));
            hash.AppendData([0]);
        }

        return Path.Combine(_folder, Convert.ToHexStringLower(hash.GetHashAndReset()) + CubinExtension);
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

    [GeneratedRegex(@"\bact\b")]
    private static partial Regex ActivationPattern();

    private sealed class Ahead(ConcurrentQueue<Lazy<byte[]>> waiting) : IDisposable
    {
        public void Dispose() => waiting.Clear();
    }
}
