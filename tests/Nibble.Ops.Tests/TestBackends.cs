using Nibble.Tensors;

namespace Nibble.Ops.Tests;

/// <summary>The backends every case runs on: the one place that names them.</summary>
internal static class TestBackends
{
    /// <summary>Names, for theories.</summary>
    public static IReadOnlyList<string> Names { get; } = [];

    /// <summary>A backend, or a skipped test with the reason why there is none.</summary>
    public static IBackend Open(string name)
    {
        throw new ArgumentException($"expected one of {string.Join(", ", Names)}, got {name}");
    }
}
