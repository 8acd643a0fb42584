using PublicApiGenerator;

namespace Nibble.Architecture.Tests;

/// <summary>The public surface is text that changes only on purpose.</summary>
public sealed class PublicApiTests
{
    private const string Accept = "NIBBLE_REGENERATE";

    [Theory]
    [InlineData(Assemblies.Tensors)]
    [InlineData(Assemblies.Engine)]
    [InlineData(Assemblies.Hosting)]
    public void PublicApi_IsTheRecordedOne(string name)
    {
        var actual = Assemblies.Load(name)
            .GeneratePublicApi(new ApiGeneratorOptions { IncludeAssemblyAttributes = false })
            .Replace("\r\n", "\n", StringComparison.Ordinal)
            .TrimEnd('\n') + "\n";
        var expectedFile = $"tests/Nibble.Architecture.Tests/PublicApi/{name}.expected.txt";
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            File.WriteAllText(Repository.PathTo(expectedFile), actual);
        }

        var expected = File.Exists(Repository.PathTo(expectedFile)) ? Repository.ReadText(expectedFile) : "";
        if (actual == expected)
        {
            return;
        }

        var actualFile = expectedFile.Replace(".expected.txt", ".actual", StringComparison.Ordinal);
        File.WriteAllText(Repository.PathTo(actualFile), actual);
        Assert.Fail(
            $"The public API of {name} is not the recorded one. "
            + $"Compare {actualFile} with {expectedFile}; to accept it: "
            + $"{Accept}=1 dotnet run --project tests/Nibble.Architecture.Tests -- -class \"*PublicApiTests\"\n"
            + FirstDifference(expected, actual));
    }

    private static string FirstDifference(string expected, string actual)
    {
        var (left, right) = (expected.Split('\n'), actual.Split('\n'));
        var line = Enumerable.Range(0, Math.Max(left.Length, right.Length))
            .First(i => left.ElementAtOrDefault(i) != right.ElementAtOrDefault(i));
        return $"line {line + 1}: expected {left.ElementAtOrDefault(line)?.Trim() ?? "the end"}, "
            + $"found {right.ElementAtOrDefault(line)?.Trim() ?? "the end"}";
    }
}
