using System.Reflection;
using System.Text.RegularExpressions;
using NetArchTest.Rules;

namespace Nibble.Architecture.Tests;

/// <summary>Which project may use which, and what only one project may do.</summary>
public sealed class ProjectTests
{
    // Tensors <- Cpu, Cuda, Ops (reference and cases), Engine <- Hosting <- Cli. Only Hosting names the backends.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        [Assemblies.Tensors] = [],
        [Assemblies.Cpu] = [Assemblies.Tensors],
        [Assemblies.Cuda] = [Assemblies.Tensors],
        [Assemblies.Ops] = [Assemblies.Tensors],
        [Assemblies.Engine] = [Assemblies.Tensors],
        [Assemblies.Hosting] =
            [Assemblies.Tensors, Assemblies.Cpu, Assemblies.Cuda, Assemblies.Ops, Assemblies.Engine],
        [Assemblies.Cli] = [Assemblies.Tensors, Assemblies.Engine, Assemblies.Hosting],
    };

    public static TheoryData<string> All => [.. Assemblies.Names];

    [Theory]
    [MemberData(nameof(All))]
    public void Assembly_References_OnlyWhatTheTableAllows(string name)
    {
        var used = Assemblies.Load(name).GetReferencedAssemblies()
            .Select(reference => reference.Name!)
            .Where(Assemblies.Names.Contains);

        Assert.Empty(used.Except(Allowed[name]));
    }

    [Fact]
    public void ProjectFiles_References_OnlyWhatTheTableAllows()
    {
        foreach (var project in Repository.Files("src", ".csproj"))
        {
            var text = Repository.ReadText(project);
            var used = Regex.Matches(text, "<ProjectReference Include=\"[^\"]*?([\\w.]+)\\.csproj\"")
                .Select(match => Assemblies.OfProject(match.Groups[1].Value));
            Assert.Empty(used.Except(Allowed[Assemblies.OfProject(Path.GetFileNameWithoutExtension(project))]));
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void NativeFunctions_AreDeclared_OnlyInCudaInterop(string name)
    {
        const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static
            | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        var methods = Assemblies.Load(name).GetTypes()
            .SelectMany(type => type.GetMethods(Declared))
            .Where(method => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl))
            .ToList();

        Assert.All(methods, method => Assert.Equal("Nibble.Cuda.Interop", method.DeclaringType!.Namespace));
        Assert.Equal(name == Assemblies.Cuda, methods.Count > 0);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Console_IsUsed_OnlyByTheProgram(string name)
    {
        if (name == Assemblies.Cli)
        {
            return;
        }

        var result = Types.InAssembly(Assemblies.Load(name)).ShouldNot().HaveDependencyOn("System.Console").GetResult();

        Assert.True(result.IsSuccessful, $"{name} writes to the console: {Names(result)}");
    }

    private static string Names(NetArchTest.Rules.TestResult result) =>
        string.Join(", ", result.FailingTypeNames ?? []);
}
