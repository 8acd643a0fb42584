using Nibble.Cpu;
using Nibble.Cpu.Simd;
using Nibble.Tensors;
using Nibble.Testing;

namespace Nibble.Ops.Tests;

/// <summary>The backends every case runs on: the one place that names them.</summary>
internal static class TestBackends
{
    /// <summary>Set in a child process that plays a machine with fewer instructions: only its own choice is
    /// run.</summary>
    public const string ChildVariable = "NIBBLE_TEST_CHILD";

    private const string CpuPrefix = "cpu ";
    private const string CudaPrefix = "cuda ";

    private static readonly DType[] CudaTypes = [DType.BF16, DType.F32];

    /// <summary>The CPU as a user gets it, or as NIBBLE_CPU_ISA forces it.</summary>
    public static string DefaultCpu { get; } = CpuPrefix + InstructionSets.Name(InstructionSets.Choose());

    /// <summary>The CPU with every instruction set of this machine.</summary>
    public static IReadOnlyList<string> Cpus { get; } = Environment.GetEnvironmentVariable(ChildVariable) is null
        ? [.. InstructionSets.Available.Select(s => CpuPrefix + InstructionSets.Name(s))]
        : [DefaultCpu];

    /// <summary>A card, with activations as in training and as on the CPU.</summary>
    public static IReadOnlyList<string> Cards { get; } = [.. CudaTypes.Select(t => CudaPrefix + t)];

    /// <summary>A backend, or a skipped test with the reason why there is none.</summary>
    public static IBackend Open(string name) => name switch
    {
        "reference" => new ReferenceBackend(),
        _ when name.StartsWith(CpuPrefix, StringComparison.Ordinal) => OpenCpu(name, 2),
        _ when name.StartsWith(CudaPrefix, StringComparison.Ordinal) =>
            TestCards.Open(CudaTypes.Single(t => CudaPrefix + t == name)),
        _ => throw new ArgumentException($"expected a name of {nameof(TestBackends)}, got {name}"),
    };

    /// <summary>A CPU with a number of threads.</summary>
    public static IBackend OpenCpu(string name, int threads) =>
        new CpuBackend(threads, InstructionSets.Available.Single(s => CpuPrefix + InstructionSets.Name(s) == name));
}
