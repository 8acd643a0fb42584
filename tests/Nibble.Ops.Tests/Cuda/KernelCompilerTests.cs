using Nibble.Cuda.Runtime;
using Nibble.Tensors;

namespace Nibble.Ops.Tests.Cuda;

public sealed class KernelCompilerTests
{
    [Fact]
    public void Units_OfAnArchitecture_AreWhatItsFilesList()
    {
        var hopper = Units("sm_90a");
        var ampere = Units("sm_80");
        Assert.Contains("Attention90.cu --gpu-architecture=sm_90a -DACTIVATION_NONE=1", hopper);
        Assert.Contains("MatMulOuter.cu --gpu-architecture=sm_90a -DACTIVATION_NONE=1 -DWIDTH=64 -DWALK=1", hopper);
        Assert.Contains("RmsNorm.cu --gpu-architecture=sm_80 -DACTIVATION_BF16=1", ampere);
        Assert.DoesNotContain(ampere, u => u.Contains("90.cu", StringComparison.Ordinal));
        Assert.Equal(hopper.Count, hopper.Distinct().Count());
    }

    private static List<string> Units(string architecture) =>
    [
        .. KernelCompiler.Units(architecture, DType.BF16)
            .Select(u => string.Join(' ', u.Options.Where(o => o.StartsWith("-D", StringComparison.Ordinal)
                || o.StartsWith("--gpu", StringComparison.Ordinal)).Prepend(u.File))),
    ];
}
