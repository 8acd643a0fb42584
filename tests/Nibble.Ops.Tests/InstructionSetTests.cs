using System.Diagnostics;
using System.Reflection;
using System.Text;
using Nibble.Cpu.Simd;

namespace Nibble.Ops.Tests;

/// <summary>
/// The CPU's cases again in a child process, on a machine that lacks instructions as far as the runtime can tell, and
/// with the choice forced: what the kernels do not use they must not need.
/// </summary>
public sealed class InstructionSetTests
{
    // Long enough for a laggard machine, short enough to end a hang.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    public static TheoryData<string, string, string> Machines() => new()
    {
        { "DOTNET_EnableAVX512", "0", "avx2" },
        { "DOTNET_EnableAVX2", "0", "vector128" },
        { "DOTNET_EnableHWIntrinsic", "0", "scalar" },
    };

    [Theory]
    [MemberData(nameof(Machines))]
    public void Cpu_WithoutInstructions_PassesEveryCase(string variable, string value, string expected) =>
        RunChild(variable, value, expected, nameof(OpCaseTests.Cpu_EveryCase_AgreesWithTheReference));

    [Fact]
    public void Cpu_ForcedSet_IsTheOneThatRuns() => RunChild(InstructionSets.Variable, "scalar", "scalar");

    [Fact]
    public void Child_MachineItWasGiven_IsWhatItSees()
    {
        var expected = Environment.GetEnvironmentVariable(TestBackends.ChildVariable);
        Assert.SkipWhen(expected is null, "only in a child process");

        // Without all intrinsics the runtime of some processors still widens Vector128: scalar is then the narrower
        // promise.
        Assert.Contains(expected, new[] { InstructionSets.Name(InstructionSets.Choose()), "scalar" });
    }

    private static void RunChild(string variable, string value, string expected, params string[] tests)
    {
        Assert.SkipWhen(
            Environment.GetEnvironmentVariable(TestBackends.ChildVariable) is not null, "this is the child process");
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
        }

        start.ArgumentList.Add("-noColor");
        foreach (var method in tests.Append(nameof(Child_MachineItWasGiven_IsWhatItSees)))
        {
            start.ArgumentList.Add("-method");
            start.ArgumentList.Add($"*.{method}");
        }

        start.Environment[variable] = value;
        start.Environment[TestBackends.ChildVariable] = expected;
        using var child = Process.Start(start)!;
        var output = new StringBuilder();
        child.OutputDataReceived += (_, line) => output.AppendLine(line.Data);
        child.ErrorDataReceived += (_, line) => output.AppendLine(line.Data);
        child.BeginOutputReadLine();
        child.BeginErrorReadLine();
        var ended = child.WaitForExit(Limit);
        if (!ended)
        {
            child.Kill();
        }

        child.WaitForExit();
        Assert.True(ended && child.ExitCode == 0, $"{variable}={value}: exit {child.ExitCode}\n{output}");

        // A filter that matches nothing also ends well.
        var count = 1 + (tests.Length == 0 ? 0 : OpCases.All.DistinctBy(c => c.Op).Count());
        Assert.Contains(
            $"Total: {count}, Errors: 0, Failed: 0, Skipped: 0", output.ToString(), StringComparison.Ordinal);
    }
}
