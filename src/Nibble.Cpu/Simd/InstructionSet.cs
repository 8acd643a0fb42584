using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Nibble.Cpu.Simd;

/// <summary>The instruction sets that kernels are written for, narrowest first.</summary>
internal enum InstructionSet
{
    /// <summary>No vectors.</summary>
    Scalar,

    /// <summary>128-bit vectors: NEON, or SSE with whatever the runtime adds.</summary>
    Vector128,

    /// <summary>256-bit vectors with fused multiply-add.</summary>
    Avx2,

    /// <summary>512-bit vectors.</summary>
    Avx512,
}

/// <summary>Which instruction set runs.</summary>
internal static class InstructionSets
{
    /// <summary>Environment variable that forces a choice: avx512, avx2, vector128 or scalar.</summary>
    public const string Variable = "NIBBLE_CPU_ISA";

    // Widest first: width decides the speed of every kernel here, and where AVX-512 runs as two halves it is no slower.
    private static readonly (InstructionSet Set, string Name)[] Preference =
    [
        (InstructionSet.Avx512, "avx512"), (InstructionSet.Avx2, "avx2"), (InstructionSet.Vector128, "vector128"),
        (InstructionSet.Scalar, "scalar"),
    ];

    /// <summary>Every set this machine can run, preferred first.</summary>
    public static IEnumerable<InstructionSet> Available => Preference.Select(p => p.Set).Where(IsSupported);

    /// <summary>The set forced by <see cref="Variable"/>, or the preferred one.</summary>
    /// <exception cref="PlatformNotSupportedException">The variable names no set, or
    /// one this machine lacks.</exception>
    public static InstructionSet Choose()
    {
        var forced = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(forced))
        {
            return Available.First();
        }

        var match = Preference.Where(p => p.Name == forced && IsSupported(p.Set)).ToArray();
        return match.Length == 1
            ? match[0].Set
            : throw new PlatformNotSupportedException(
                $"{Variable}: expected one of {string.Join(", ", Available.Select(Name))} (what this "
                + $"machine has), got '{forced}'");
    }

    /// <summary>The name used in <see cref="Variable"/>.</summary>
    /// <param name="set">Which set.</param>
    public static string Name(InstructionSet set) => Preference.First(p => p.Set == set).Name;

    private static bool IsSupported(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => Avx512F.IsSupported && Avx512BW.IsSupported && Vector512.IsHardwareAccelerated,
        InstructionSet.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        InstructionSet.Vector128 => Vector128.IsHardwareAccelerated,
        _ => true,
    };
}
