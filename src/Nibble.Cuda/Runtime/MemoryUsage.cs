using Nibble.Cuda.Interop;

namespace Nibble.Cuda.Runtime;

/// <summary>
/// What this process holds on a card, context included. The management library knows it by process id; inside a
/// container the ids differ, and then it is the growth of the card's used memory since before the context was made,
/// which is right when nothing else on the card changes.
/// </summary>
internal sealed unsafe class MemoryUsage
{
    private readonly nint _handle;
    private readonly long _before;

    internal MemoryUsage(int device)
    {
        if (NativeLoader.Locate(Nvml.Library) is null || Nvml.Init() != 0)
        {
            return;
        }

        var id = stackalloc byte[64];
        if (Driver.DeviceGetPciBusId(id, 64, device) == 0 && Nvml.DeviceGetHandleByPciBusId(id, out _handle) == 0)
        {
            _before = Used() ?? 0;
        }
    }

    /// <summary>Bytes held by this process, or null when the management library is not there.</summary>
    internal long? ProcessBytes()
    {
        if (_handle == 0)
        {
            return null;
        }

        const int Capacity = 256;
        var processes = stackalloc Nvml.ProcessInfo[Capacity];
        uint count = Capacity;
        if (Nvml.DeviceGetComputeRunningProcesses(_handle, ref count, processes) == 0)
        {
            for (var i = 0; i < (int)Math.Min(count, Capacity); i++)
            {
                // All bits set means "not available" there.
                if (processes[i].ProcessId == (uint)Environment.ProcessId && processes[i].UsedBytes < ulong.MaxValue)
                {
                    return (long)processes[i].UsedBytes;
                }
            }
        }

        return Used() - _before;
    }

    private long? Used() => Nvml.DeviceGetMemoryInfo(_handle, out var info) == 0 ? (long)info.Used : null;
}
