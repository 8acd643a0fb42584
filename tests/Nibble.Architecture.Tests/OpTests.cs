using System.Text.RegularExpressions;

namespace Nibble.Architecture.Tests;

/// <summary>An op is five files of one name; a kernel has one launcher.</summary>
public sealed class OpTests
{
    public static TheoryData<string> Contracts =>
        [.. Repository.Files("src/Nibble.Tensors/Ops", ".cs").Select(Path.GetFileNameWithoutExtension).OfType<string>()];

    private const string Proofs = "src/Nibble.Ops";

    [Theory]
    [MemberData(nameof(Contracts))]
    public void Contract_HasTwinsOfItsName(string op)
    {
        Assert.Contains("partial interface IBackend", Repository.ReadText($"src/Nibble.Tensors/Ops/{op}.cs"));
        Assert.Contains("partial class CpuBackend", Repository.ReadText($"src/Nibble.Cpu/Ops/{op}.cs"));
        Assert.Contains("partial class CudaBackend", Repository.ReadText($"src/Nibble.Cuda/Ops/{op}.cs"));
        Assert.Contains("__global__", Repository.ReadText($"src/Nibble.Cuda/Ops/{op}.cu"));

        var proof = Repository.ReadText($"{Proofs}/Ops/{op}.cs");
        Assert.Contains("partial class ReferenceBackend", proof);
        Assert.Contains($"class {op}Cases", proof);
        Assert.Contains($"{op}Cases.All", Repository.ReadText($"{Proofs}/OpCases.cs"));
    }

    [Fact]
    public void Kernels_EachHaveOneLauncher()
    {
        var launchers = Launchers();
        var kernels = Kernels();
        Assert.NotEmpty(kernels);
        foreach (var kernel in kernels)
        {
            var by = launchers.Where(pair => pair.Kernel == kernel).Select(pair => pair.Launcher).Distinct().ToList();
            Assert.True(
                by.Count == 1,
                $"{kernel.File}: {kernel.Name} needs exactly one launcher, found {by.Count}: {string.Join(", ", by)}");
        }

        Assert.Empty(launchers.Select(pair => pair.Kernel).Except(kernels));
    }

    // (file, name) of every __global__ function.
    private static List<(string File, string Name)> Kernels() =>
        [.. from path in Repository.Files("src/Nibble.Cuda", ".cu", ".cuh")
            let text = Regex.Replace(Repository.ReadText(path), "//[^\n]*", "")
            from Match match in Regex.Matches(
                text, @"__global__(?:\s+void)?(?:\s+__launch_bounds__\([^)]*\))?(?:\s+void)?\s+(\w+)\s*\(")
            select (Path.GetFileName(path), match.Groups[1].Value)];

    // A launcher is a C# file that makes a Kernel from a file, by name or by a constant, and a function.
    private static List<((string File, string Name) Kernel, string Launcher)> Launchers()
    {
        var found = new List<((string, string), string)>();
        foreach (var path in Repository.Files("src/Nibble.Cuda", ".cs"))
        {
            var text = Repository.ReadText(path);
            var constants = Regex.Matches(text, @"const string (\w+) = ""(\w+\.cuh?)""")
                .ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
            foreach (Match match in Regex.Matches(text, @"new(?: Kernel)?\(\s*(?:""(\w+\.cu)""|(\w+)),\s*""(\w+)"""))
            {
                var file = match.Groups[1].Success
                    ? match.Groups[1].Value
                    : constants.GetValueOrDefault(match.Groups[2].Value);
                if (file is not null)
                {
                    found.Add(((file, match.Groups[3].Value), path));
                }
            }
        }

        return found;
    }
}
