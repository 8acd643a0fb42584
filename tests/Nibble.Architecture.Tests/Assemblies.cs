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
    public const string Cli = "nibble";

    public static IReadOnlyList<string> Names { get; } = [Tensors, Cpu, Cuda, Engine, Hosting, Cli];

    public static Assembly Load(string name) => Assembly.Load(new AssemblyName(name));
}
