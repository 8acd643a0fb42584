using Nibble.Cpu;
using Nibble.Tensors;

namespace Nibble.Tests.Models;

/// <summary>The backend that model tests run on.</summary>
internal static class TestBackend
{
    public static IBackend Create() => new CpuBackend();
}
