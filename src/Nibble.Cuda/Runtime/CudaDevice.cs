using System.Runtime.InteropServices;
using Nibble.Cuda.Interop;

namespace Nibble.Cuda;

/// <summary>One card.</summary>
/// <param name="Ordinal">Its number in this process.</param>
/// <param name="Name">Its name.</param>
/// <param name="Major">Compute capability, major.</param>
/// <param name="Minor">Compute capability, minor.</param>
/// <param name="Multiprocessors">Streaming multiprocessors.</param>
/// <param name="TotalBytes">Memory in bytes.</param>
public sealed record CudaDeviceInfo(
    int Ordinal, string Name, int Major, int Minor, int Multiprocessors, long TotalBytes)
{
    /// <summary>Whether the kernels run on it: compute capability 8.0 or later.</summary>
    public bool IsSupported => Major >= 8;
}

/// <summary>One of NVIDIA's libraries.</summary>
/// <param name="Name">Its short name.</param>
/// <param name="Path">Where it was found, or null.</param>
/// <param name="Version">Its version, or null.</param>
public sealed record CudaLibraryInfo(string Name, string? Path, string? Version);

/// <summary>What was found on this machine.</summary>
/// <param name="DriverVersion">CUDA version the driver supports, as "13.0", or null without a driver.</param>
/// <param name="Devices">Cards the driver shows.</param>
/// <param name="Libraries">Libraries and where they were found.</param>
/// <param name="Missing">What keeps the backend from running, each with the way to get it; empty when it can
/// run.</param>
/// <param name="Tried">Every path that was tried, in order.</param>
public sealed record CudaAvailability(
    string? DriverVersion,
    IReadOnlyList<CudaDeviceInfo> Devices,
    IReadOnlyList<CudaLibraryInfo> Libraries,
    IReadOnlyList<string> Missing,
    IReadOnlyList<string> Tried)
{
    /// <summary>Whether a backend can be opened.</summary>
    public bool IsAvailable => Missing.Count == 0;
}

/// <summary>Looks for cards.</summary>
public static unsafe class CudaDevice
{
    private const int MinimumDriver = 12000;

    /// <summary>Finds out what is here; never throws, takes no device memory.</summary>
    public static CudaAvailability Probe()
    {
        var missing = new List<string>();
        var devices = new List<CudaDeviceInfo>();
        string? driver = null;
        var libraries = new List<CudaLibraryInfo>();
        try
        {
            NativeLoader.Install();
            var path = NativeLoader.Locate(Driver.Library);
            driver = path is null ? null : ProbeDriver(devices, missing);
            libraries.Add(new CudaLibraryInfo("driver", path, driver));
            if (path is null)
            {
                missing.Add("no NVIDIA driver (libcuda): install one from https://www.nvidia.com/drivers, "
                    + "or in a container start it with --gpus all");
            }

            libraries.Add(ProbeLibrary(
                Nvrtc.Library, "pip install nvidia-cuda-nvrtc, or a CUDA toolkit 12 or 13", missing,
                () => Nvrtc.Version(out var major, out var minor) == 0 ? $"{major}.{minor}" : null));
            libraries.Add(ProbeLibrary(
                CublasLt.Library, "pip install nvidia-cublas, or a CUDA toolkit 12 or 13", missing,
                () => $"{CublasLt.GetVersion()}"));
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException
            or IOException or UnauthorizedAccessException or CudaException)
        {
            missing.Add($"a library was found but cannot be used: {e.Message}");
        }

        return new CudaAvailability(driver, devices, libraries, missing, NativeLoader.Log);
    }

    private static string? ProbeDriver(List<CudaDeviceInfo> devices, List<string> missing)
    {
        if (Driver.DriverGetVersion(out var version) != 0)
        {
            missing.Add("the driver does not tell its version: reinstall it");
            return null;
        }

        var text = $"{version / 1000}.{version % 1000 / 10}";
        if (version < MinimumDriver)
        {
            missing.Add($"the driver supports CUDA {text}; 12.0 or later is needed: update the driver");
        }

        var code = Driver.Init(0);
        var count = 0;
        if (code == 0)
        {
            code = Driver.DeviceGetCount(out count);
        }

        if (code != 0)
        {
            missing.Add($"the driver shows no card: {Driver.ErrorName(code)}: {Driver.ErrorText(code)}");
            return text;
        }

        for (var i = 0; i < count; i++)
        {
            devices.Add(Describe(i));
        }

        if (!devices.Exists(d => d.IsSupported))
        {
            missing.Add(devices.Count == 0
                ? "the driver shows no card: check CUDA_VISIBLE_DEVICES and nvidia-smi"
                : "compute capability 8.0 or later is needed, found "
                    + string.Join(", ", devices.Select(d => $"{d.Name} ({d.Major}.{d.Minor})")));
        }

        return text;
    }

    internal static CudaDeviceInfo Describe(int ordinal)
    {
        CudaException.Check(Driver.DeviceGet(out var device, ordinal));
        var name = stackalloc byte[256];
        CudaException.Check(Driver.DeviceGetName(name, 256, device));
        CudaException.Check(Driver.DeviceTotalMem(out var bytes, device));
        return new CudaDeviceInfo(
            ordinal,
            Marshal.PtrToStringUTF8((nint)name) ?? "",
            Attribute(device, Driver.AttributeMajor),
            Attribute(device, Driver.AttributeMinor),
            Attribute(device, Driver.AttributeMultiprocessors),
            (long)bytes);
    }

    internal static int Attribute(int device, int attribute)
    {
        CudaException.Check(Driver.DeviceGetAttribute(out var value, attribute, device));
        return value;
    }

    private static CudaLibraryInfo ProbeLibrary(
        string library, string remedy, List<string> missing, Func<string?> version)
    {
        var path = NativeLoader.Locate(library);
        if (path is null)
        {
            missing.Add($"{library} was not found: {remedy}, or name its folder in {NativeLoader.PathVariable}");
        }

        return new CudaLibraryInfo(library, path, path is null ? null : version());
    }
}
