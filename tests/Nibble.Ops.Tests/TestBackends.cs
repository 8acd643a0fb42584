using Nibble.Cpu;
using Nibble.Cpu.Simd;
using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>The backends every case runs on: the one place that names them.</summary>
internal static class TestBackends
{
    private const string CpuPrefix = "cpu ";

    /// <summary>Names, for theories: the CPU with every instruction set of this machine.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. InstructionSets.Available.Select(s => CpuPrefix + InstructionSets.Name(s))];

    /// <summary>A backend.</summary>
    public static IBackend Open(string name) => new CpuBackend(2, SetOf(name));

    private static InstructionSet SetOf(string name) =>
        InstructionSets.Available.Single(s => CpuPrefix + InstructionSets.Name(s) == name);
}
