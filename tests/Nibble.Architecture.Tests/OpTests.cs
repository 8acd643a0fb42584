namespace Nibble.Architecture.Tests;

/// <summary>An op is five files of one name; four when it needs no kernel.</summary>
public sealed class OpTests
{
    public static TheoryData<string> Contracts =>
        [.. Repository.Files("src/Nibble.Tensors/Ops", ".cs").Select(Path.GetFileNameWithoutExtension)
            .OfType<string>()];

    private const string Proofs = "src/Nibble.Ops";

    [Theory]
    [MemberData(nameof(Contracts))]
    public void Contract_HasTwinsOfItsName(string op)
    {
        Assert.Contains("partial interface IBackend", Repository.ReadText($"src/Nibble.Tensors/Ops/{op}.cs"));
        Assert.Contains("partial class CpuBackend", Repository.ReadText($"src/Nibble.Cpu/Ops/{op}.cs"));
        var cuda = Repository.ReadText($"src/Nibble.Cuda/Ops/{op}.cs");
        Assert.Contains("partial class CudaBackend", cuda);

        // What only copies is left to the card's copy engines, what is one product to the ops that have the kernels.
        if (cuda.Contains("readonly Kernel", StringComparison.Ordinal))
        {
            Assert.Contains("__global__", Repository.ReadText($"src/Nibble.Cuda/Ops/{op}.cu"));
        }
        else
        {
            Assert.Matches(@"_context\.Copies\.|Multiply\(", cuda);
        }

        var proof = Repository.ReadText($"{Proofs}/Ops/{op}.cs");
        Assert.Contains("partial class ReferenceBackend", proof);
        Assert.Contains($"class {op}Cases", proof);
        Assert.Contains($"{op}Cases.All", Repository.ReadText($"{Proofs}/OpCases.cs"));
    }
}
