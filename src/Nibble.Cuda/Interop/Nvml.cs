using System.Runtime.InteropServices;

namespace Nibble.Cuda.Interop;

/// <summary>The management library, for what the driver API does not tell: memory by process.</summary>
internal static unsafe partial class Nvml
{
    internal const string Library = "nvml";

    [LibraryImport(Library, EntryPoint = "nvmlInit_v2")]
    internal static partial int Init();

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetHandleByPciBusId_v2")]
    internal static partial int DeviceGetHandleByPciBusId(byte* id, out nint device);

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetMemoryInfo")]
    internal static partial int DeviceGetMemoryInfo(nint device, out MemoryInfo info);

    [LibraryImport(Library, EntryPoint = "nvmlDeviceGetComputeRunningProcesses_v3")]
    internal static partial int DeviceGetComputeRunningProcesses(nint device, ref uint count, ProcessInfo* processes);

    [StructLayout(LayoutKind.Sequential)]
    internal struct MemoryInfo
    {
        internal ulong Total;
        internal ulong Free;
        internal ulong Used;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct ProcessInfo
    {
        internal uint ProcessId;
        internal ulong UsedBytes;
        internal uint GpuInstance;
        internal uint ComputeInstance;
    }
}
