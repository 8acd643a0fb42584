using System.Text.RegularExpressions;
using NetArchTest.Rules;

namespace Nibble.Architecture.Tests;

/// <summary>The rooms of the engine, in the order data flows; to change who may use whom, change the table.</summary>
public sealed class RoomTests
{
    // A room uses the rooms named here and Nibble.Tensors. Along the line these are all rooms to the left, with two
    // exceptions: nothing in the line uses Tracking, and Tracking knows the configuration alone, so that a tracker is
    // fed by whoever wires it and never reaches into a run.
    private static readonly (string Room, string[] Uses)[] Table =
    [
        ("Config", []),
        ("Hub", ["Config"]),
        ("Data", ["Config", "Hub"]),
        ("Models", ["Config", "Hub", "Data"]),
        ("Generation", ["Config", "Hub", "Data", "Models"]),
        ("Planning", ["Config", "Hub", "Data", "Models", "Generation"]),
        ("Training", ["Config", "Hub", "Data", "Models", "Generation", "Planning"]),
        ("Checkpoints", ["Config", "Hub", "Data", "Models", "Generation", "Planning", "Training"]),
        ("Validation", ["Config", "Hub", "Data", "Models", "Generation", "Planning", "Training", "Checkpoints"]),
        ("Tracking", ["Config"]),
    ];

    public static TheoryData<string> Rooms => [.. Table.Select(row => row.Room)];

    [Theory]
    [MemberData(nameof(Rooms))]
    public void Room_Uses_OnlyRoomsOfTheTable(string room)
    {
        var uses = Table.Single(row => row.Room == room).Uses;
        var others = Table.Select(row => row.Room).Where(other => other != room && !uses.Contains(other));

        var result = Types.InAssembly(Assemblies.Load(Assemblies.Engine))
            .That().ResideInNamespaceMatching($@"^Nibble\.{room}(\.|$)")
            .ShouldNot().HaveDependencyOnAny([.. others.Select(other => $"Nibble.{other}")])
            .GetResult();

        Assert.True(
            result.IsSuccessful,
            $"{room} may use {string.Join(", ", uses.Append("Nibble.Tensors"))} alone; these types use more: "
            + string.Join(", ", result.FailingTypeNames ?? []));
    }

    [Fact]
    public void Engine_Types_LieInARoomOfTheTable()
    {
        var pattern = $@"^Nibble\.({string.Join('|', Table.Select(row => row.Room))})(\.|$)";
        var strangers = Assemblies.Load(Assemblies.Engine).GetTypes()
            .Where(type => type.Namespace is { } space && space.StartsWith("Nibble", StringComparison.Ordinal))
            .Where(type => !Regex.IsMatch(type.Namespace!, pattern))
            .Select(type => type.FullName);

        Assert.Empty(strangers);
    }

    [Fact]
    public void Engine_Namespaces_AreTheirFolders()
    {
        foreach (var file in Repository.Files("src/Nibble", ".cs"))
        {
            var declared = Regex.Match(Repository.ReadText(file), @"^namespace ([\w.]+);", RegexOptions.Multiline);
            var folder = Path.GetDirectoryName(file)!.Replace('\\', '/')["src/".Length..].Replace('/', '.');
            Assert.True(
                !declared.Success || declared.Groups[1].Value == folder,
                $"{file}: expected namespace {folder}, found {declared.Groups[1].Value}");
        }
    }
}
