using Nibble.Cpu;
using Nibble.Tensors;
using Nibble.Testing;

namespace Nibble.Tests.Models;

/// <summary>The backends that model tests run on.</summary>
internal static class TestBackend
{
    public const string Cpu = "cpu";
    public const string CardF32 = "cuda F32";
    public const string CardBf16 = "cuda BF16";

    public static IReadOnlyList<string> All { get; } = [Cpu, CardF32, CardBf16];

    public static IBackend Create() => new CpuBackend();

    /// <summary>A backend by name, or a skipped test with the reason why there is none.</summary>
    public static IBackend Open(string name) => name switch
    {
        Cpu => Create(),
        CardF32 => TestCards.Open(DType.F32),
        CardBf16 => TestCards.Open(DType.BF16),
        _ => throw new ArgumentException($"expected a name of {nameof(TestBackend)}, got {name}"),
    };
}
