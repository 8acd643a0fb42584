using System.Reflection;

namespace Nibble.Architecture.Tests;

/// <summary>What is shipped, by assembly name.</summary>
internal static class Assemblies
{
    public const string Tensors = "Nibble.Tensors";
    public const string Cpu = "Nibble.Cpu";
    public const string Cuda = "Nibble.Cuda";
    public const string Engine = "Nibble.Engine";
    public const string Hosting = "Nibble.Hosting";
    public const string Ops = "Nibble.Ops";
    public const string Cli = "nibble";

    public static IReadOnlyList<string> Names { get; } =
        [.. Repository.Files("src", ".csproj").Select(Path.GetFileNameWithoutExtension).OfType<string>()
            .Select(OfProject)];

    /// <summary>Assembly of a project: its own name, but for the two whose names would be one file on some
    /// systems.</summary>
    public static string OfProject(string project) => project switch
    {
        "Nibble" => Engine,
        "Nibble.Cli" => Cli,
        _ => project,
    };

    public static Assembly Load(string name) => Assembly.Load(new AssemblyName(name));
}
