using System.Runtime.InteropServices;

namespace Nibble.Cuda.Interop;

/// <summary>
/// Finds NVIDIA's libraries where toolkits, drivers and Python wheels put them, and remembers what was tried.
/// Order: <c>NIBBLE_CUDA_PATH</c>, the system's own search, <c>CUDA_HOME</c> and <c>CUDA_PATH</c>, the usual toolkit
/// folders, Python environments.
/// </summary>
internal static class NativeLoader
{
    internal const string PathVariable = "NIBBLE_CUDA_PATH";

    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, nint> Handles = [];
    private static readonly Dictionary<string, string> FoundAt = [];
    private static readonly List<string> Attempts = [];
    private static bool _installed;

    /// <summary>What was tried, in order, one line each.</summary>
    internal static IReadOnlyList<string> Log
    {
        get
        {
            lock (Gate)
            {
                return [.. Attempts];
            }
        }
    }

    /// <summary>Installs the resolver; further calls do nothing.</summary>
    internal static void Install()
    {
        lock (Gate)
        {
            if (!_installed)
            {
                _installed = true;
                NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, (name, _, _) => Find(name));
            }
        }
    }

    /// <summary>Where a library was found, or null.</summary>
    internal static string? Locate(string library)
    {
        Install();
        return Find(library) == 0 ? null : FoundAt[library];
    }

    private static nint Find(string library)
    {
        lock (Gate)
        {
            if (!Handles.TryGetValue(library, out var handle))
            {
                handle = Names(library) is { Length: > 0 } names ? Load(library, names) : 0;
                Handles[library] = handle;
            }

            return handle;
        }
    }

    private static nint Load(string library, string[] names)
    {
        foreach (var folder in Chosen())
        {
            if (LoadFrom(library, names, folder) is var chosen and not 0)
            {
                return chosen;
            }
        }

        foreach (var name in names)
        {
            if (Try(library, name, name + " (system search)") is var handle and not 0)
            {
                return handle;
            }
        }

        foreach (var folder in Folders())
        {
            if (LoadFrom(library, names, folder) is var handle and not 0)
            {
                return handle;
            }
        }

        return 0;
    }

    private static nint LoadFrom(string library, string[] names, string folder)
    {
        foreach (var name in names)
        {
            foreach (var path in Matches(folder, name))
            {
                if (library == Nvrtc.Library)
                {
                    LoadBuiltins(folder);
                }

                if (Try(library, path, path) is var handle and not 0)
                {
                    return handle;
                }
            }
        }

        return 0;
    }

    // A compiler opened by absolute path opens its builtins by bare name: they must be in the process already.
    private static void LoadBuiltins(string folder)
    {
        var pattern = OperatingSystem.IsWindows() ? "nvrtc-builtins64_*.dll" : "libnvrtc-builtins.so.*";
        foreach (var path in Matches(folder, pattern).Where(p => !p.Contains(".alt.", StringComparison.Ordinal)))
        {
            _ = Try("nvrtc-builtins", path, path);
        }
    }

    private static nint Try(string library, string path, string text)
    {
        var found = NativeLibrary.TryLoad(path, out var handle);
        Attempts.Add($"{library}: {text}: {(found ? "loaded" : "not loaded")}");
        if (found)
        {
            FoundAt[library] = text;
        }

        return handle;
    }

    private static IEnumerable<string> Matches(string folder, string pattern)
    {
        if (!Directory.Exists(folder))
        {
            return [];
        }

        try
        {
            return Directory.GetFiles(folder, pattern).Order(StringComparer.Ordinal).Reverse();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Attempts.Add($"{folder}: {e.Message}");
            return [];
        }
    }

    // A cubin of a newer compiler does not load in an older driver: prefer the driver's own major version.
    private static string[] Names(string library)
    {
        var prefersOld = library is Nvrtc.Library or CublasLt.Library && DriverMajor() < 13;
        string[] majors = prefersOld ? ["12", "13"] : ["13", "12"];
        return (library, OperatingSystem.IsWindows()) switch
        {
            (Driver.Library, true) => ["nvcuda.dll"],
            (Driver.Library, false) => ["libcuda.so.1", "libcuda.so"],
            (Nvml.Library, true) => ["nvml.dll"],
            (Nvml.Library, false) => ["libnvidia-ml.so.1"],
            (Nvrtc.Library, true) => [.. majors.Select(m => $"nvrtc64_{m}0_0.dll")],
            (Nvrtc.Library, false) => [.. majors.Select(m => $"libnvrtc.so.{m}")],
            (CublasLt.Library, true) => [.. majors.Select(m => $"cublasLt64_{m}.dll")],
            (CublasLt.Library, false) => [.. majors.Select(m => $"libcublasLt.so.{m}")],
            _ => [],
        };
    }

    private static int DriverMajor() =>
        Find(Driver.Library) != 0 && Driver.DriverGetVersion(out var version) == 0 ? version / 1000 : 0;

    private static string[] Chosen() =>
        (Environment.GetEnvironmentVariable(PathVariable) ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static IEnumerable<string> Folders()
    {
        foreach (var variable in new[] { "CUDA_HOME", "CUDA_PATH" })
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } root)
            {
                foreach (var folder in Toolkit(root))
                {
                    yield return folder;
                }
            }
        }

        if (!OperatingSystem.IsWindows())
        {
            yield return "/usr/local/nvidia/lib64";
            var versions = Children("/usr/local", "cuda*").OrderByDescending(p => p, StringComparer.Ordinal);
            foreach (var root in versions.Prepend("/usr/local/cuda"))
            {
                foreach (var folder in Toolkit(root))
                {
                    yield return folder;
                }
            }
        }

        foreach (var root in PythonRoots())
        {
            foreach (var packages in PythonPackages(root))
            {
                foreach (var package in Children(Path.Combine(packages, "nvidia"), "*").Order(StringComparer.Ordinal))
                {
                    yield return Path.Combine(package, OperatingSystem.IsWindows() ? "bin" : "lib");
                }
            }
        }
    }

    private static IEnumerable<string> Toolkit(string root)
    {
        if (OperatingSystem.IsWindows())
        {
            return [Path.Combine(root, "bin", "x64"), Path.Combine(root, "bin")];
        }

        var targets = Children(Path.Combine(root, "targets"), "*").Select(t => Path.Combine(t, "lib"));
        return [Path.Combine(root, "lib64"), .. targets];
    }

    private static IEnumerable<string> PythonRoots()
    {
        foreach (var variable in new[] { "VIRTUAL_ENV", "CONDA_PREFIX" })
        {
            if (Environment.GetEnvironmentVariable(variable) is { Length: > 0 } root)
            {
                yield return root;
            }
        }

        if (OperatingSystem.IsWindows())
        {
            yield break;
        }

        foreach (var root in Children("/opt", "*").Order(StringComparer.Ordinal))
        {
            yield return Path.Combine(root, ".venv");
            yield return Path.Combine(root, "venv");
            yield return root;
        }

        yield return "/usr/local";
        yield return "/usr";
    }

    private static IEnumerable<string> PythonPackages(string root) => OperatingSystem.IsWindows()
        ? [Path.Combine(root, "Lib", "site-packages")]
        : Children(Path.Combine(root, "lib"), "python3*").OrderByDescending(p => p, StringComparer.Ordinal)
            .SelectMany(p => new[] { Path.Combine(p, "site-packages"), Path.Combine(p, "dist-packages") });

    private static string[] Children(string folder, string pattern)
    {
        try
        {
            return Directory.Exists(folder) ? Directory.GetDirectories(folder, pattern) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Attempts.Add($"{folder}: {e.Message}");
            return [];
        }
    }
}
