using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Nibble.Cpu.Simd;

namespace Nibble.Cpu;

/// <summary>
/// The inner loops of row-wise ops. Each op's file adds its loop here and, in
/// <see cref="RowKernels{TLanes, TVector}"/>, the one source of it for every width.
/// </summary>
internal abstract partial class RowKernels
{
    /// <summary>The loops of an instruction set.</summary>
    /// <param name="set">A set this machine supports.</param>
    public static RowKernels For(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => new RowKernels<Lanes512, Vector512<float>>(),
        InstructionSet.Avx2 => new RowKernels<Lanes256, Vector256<float>>(),
        InstructionSet.Vector128 => new RowKernels<Lanes128, Vector128<float>>(),
        _ => new RowKernels<LanesScalar, float>(),
    };
}

/// <inheritdoc/>
internal sealed unsafe partial class RowKernels<TLanes, TVector> : RowKernels
    where TLanes : ILanes<TVector>
    where TVector : unmanaged
{
    /// <summary>The last few elements of a row, seen as whole vectors in memory of their own.</summary>
    private ref struct Tail
    {
        private const int Slots = 4;
        private const int MaxLanes = 16;

        private readonly int _count;
        private Lines _lines = default;

        /// <summary>A tail of some elements.</summary>
        /// <param name="count">Fewer than a vector has.</param>
        public Tail(int count) => _count = count;

        /// <summary>The memory of one vector.</summary>
        /// <param name="slot">Which.</param>
        public float* Slot(int slot) => (float*)Unsafe.AsPointer(ref _lines[0]) + slot * MaxLanes;

        /// <summary>Copies the elements in; the other lanes are 0.</summary>
        /// <param name="source">First element.</param>
        /// <param name="slot">Which.</param>
        public TVector Read(float* source, int slot)
        {
            new ReadOnlySpan<float>(source, _count).CopyTo(new Span<float>(Slot(slot), MaxLanes));
            return TLanes.Load(Slot(slot));
        }

        /// <summary>Copies the elements out.</summary>
        /// <param name="slot">Which.</param>
        /// <param name="destination">First element.</param>
        public void Write(int slot, float* destination) =>
            new ReadOnlySpan<float>(Slot(slot), _count).CopyTo(new Span<float>(destination, _count));

        [InlineArray(Slots * MaxLanes)]
        private struct Lines
        {
            private float _first;
        }
    }
}
