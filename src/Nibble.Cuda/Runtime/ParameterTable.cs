using System.Runtime.InteropServices;
using Nibble.Tensors;

namespace Nibble.Cuda.Runtime;

/// <summary>What one launch over all trained tensors needs to know about them, on the card; made once per set and
/// state.</summary>
internal sealed class ParameterTable : IDisposable
{
    internal const int Threads = 256;

    private const int ChunkElements = 2048;
    private const int DecaysFlag = 1;
    private const int EightBitFlag = 2;

    private readonly DeviceMemory _memory;

    internal ParameterTable(CudaContext context, StagingRing staging, ParameterSet parameters, OptimizerState? state)
    {
        (Parameters, State) = (parameters, state);
        var slots = new SlotRecord[parameters.Slots.Length];
        var chunks = new List<ChunkRecord>();
        for (var i = 0; i < slots.Length; i++)
        {
            var slot = parameters.Slots[i];
            slots[i] = Record(slot, state, i);
            for (var first = 0L; first < slot.Count; first += ChunkElements)
            {
                chunks.Add(new ChunkRecord { Slot = i, First = (int)first });
            }
        }

        Chunks = chunks.Count;
        var slotBytes = MemoryMarshal.AsBytes(slots.AsSpan());
        _memory = context.Allocate(slotBytes.Length + ((long)Chunks * 8), MemoryKind.Device);
        (SlotAddress, ChunkAddress) = (_memory.Address, _memory.Address + slotBytes.Length);
        staging.Upload(slotBytes, SlotAddress);
        staging.Upload(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(chunks)), ChunkAddress);
    }

    internal ParameterSet Parameters { get; }

    internal OptimizerState? State { get; }

    /// <summary>Blocks of a launch.</summary>
    internal int Chunks { get; }

    internal nint SlotAddress { get; }

    internal nint ChunkAddress { get; }

    public void Dispose() => _memory.Dispose();

    private static SlotRecord Record(ParameterSlot slot, OptimizerState? state, int index)
    {
        if (!slot.Compute.IsNone)
        {
            Guard.Shape(slot.Compute, slot.Rows, slot.Cols);
            if (slot.Compute.DType is not (DType.F32 or DType.BF16))
            {
                throw new ShapeException($"{slot.Name}: expected a compute copy of F32 or BF16, got {slot.Compute}");
            }
        }

        return new SlotRecord
        {
            Offset = slot.Offset,
            StateOffset = state?.StateOffsets[index] ?? 0,
            BlockOffset = state?.BlockOffsets[index] ?? 0,
            Compute = slot.Compute.Address,
            ComputeStride = slot.Compute.Stride,
            Count = slot.Count,
            Cols = Math.Max(slot.Cols, 1),
            ComputeType = (int)slot.Compute.DType,
            Flags = (slot.Decays ? DecaysFlag : 0) | (state?.IsEightBit[index] == true ? EightBitFlag : 0),
            ComputeScale = slot.ComputeScale,
            LearningRateRatio = slot.LearningRateRatio,
        };
    }

    /// <summary>The kernels' Slot.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct SlotRecord
    {
        internal long Offset;
        internal long StateOffset;
        internal long BlockOffset;
        internal nint Compute;
        internal long ComputeStride;
        internal int Count;
        internal int Cols;
        internal int ComputeType;
        internal int Flags;
        internal float ComputeScale;
        internal float LearningRateRatio;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ChunkRecord
    {
        internal int Slot;
        internal int First;
    }
}
