using System.Diagnostics;
using System.Text.RegularExpressions;
using Nibble.Config;

namespace Nibble.Architecture.Tests;

/// <summary>What the documents show is what there is: commands, code, links, packages.</summary>
public sealed class DocumentTests
{
    public static TheoryData<string> Documents => [.. Repository.Files("", ".md")];

    [Fact]
    public void Readme_CSharp_IsTheLibraryExample()
    {
        var source = Regex.Match(
            Repository.ReadText("examples/library/Program.cs"), "#region readme\n(.*?)#endregion",
            RegexOptions.Singleline);

        Assert.Equal(source.Groups[1].Value, Assert.Single(Blocks("README.md", "csharp")));
    }

    [Fact]
    public void Readme_Yaml_IsAConfiguration()
    {
        var blocks = Blocks("README.md", "yaml");
        Assert.NotEmpty(blocks);
        var path = Repository.PathTo("README.yml");
        Assert.All(blocks, yaml => Assert.NotEmpty(ConfigLoader.Parse(yaml, path).Config.BaseModel.Name));
    }

    [Fact]
    public void Readme_Verbs_AreThoseOfTheProgram()
    {
        var help = Help();
        var commands = Regex.Match(help, @"Commands:\s*\n(.*)", RegexOptions.Singleline).Groups[1].Value;
        var verbs = Regex.Matches(commands, @"^\s+([a-z]+)\b", RegexOptions.Multiline)
            .Select(match => match.Groups[1].Value);
        var table = Regex.Matches(Repository.ReadText("README.md"), @"^\| `nibble (\w+)", RegexOptions.Multiline)
            .Select(match => match.Groups[1].Value);

        Assert.Equal(table, verbs);
    }

    [Fact]
    public void Readme_Commands_NameProjectsAndFilesThatExist()
    {
        var text = Repository.ReadText("README.md") + Repository.ReadText("CONTRIBUTING.md");
        var paths = Regex.Matches(text, @"(?:--project|dotnet publish) ([\w./]+)|\b((?:examples|eng)/[\w./-]+\w)")
            .Select(match => match.Groups[1].Success ? match.Groups[1].Value : match.Groups[2].Value)
            .Distinct()
            .ToList();

        Assert.Contains("examples/nl2bash/qlora.yml", paths);
        Assert.DoesNotContain(paths, path => !Path.Exists(Repository.PathTo(path)));
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Links_LeadSomewhere(string document)
    {
        var folder = Path.GetDirectoryName(Repository.PathTo(document))!;
        var targets = Regex.Matches(Repository.ReadText(document), @"\]\((?!https?:|#)([^)\s#]+)")
            .Select(match => match.Groups[1].Value);

        Assert.DoesNotContain(targets, target => !Path.Exists(Path.Combine(folder, target)));
    }

    [Fact]
    public void Packages_AreExplained_AndUsed()
    {
        var explained = Repository.ReadText("docs/architecture.md");
        var versions = Repository.ReadText("Directory.Packages.props");
        var pinned = Regex.Matches(versions, "<PackageVersion Include=\"([^\"]+)\"")
            .Select(match => match.Groups[1].Value)
            .ToList();
        var used = Repository.Files("", ".csproj", ".targets")
            .SelectMany(file => Regex.Matches(Repository.ReadText(file), "<PackageReference Include=\"([^\"]+)\""))
            .Select(match => match.Groups[1].Value)
            .ToHashSet();

        Assert.Empty(
            pinned.Where(package => !used.Contains(package)).Select(package => $"{package} is pinned and unused"));
        Assert.Empty(used.Where(package => !explained.Contains(package, StringComparison.Ordinal))
            .Select(package => $"docs/architecture.md does not say why {package} is used"));
    }

    private static List<string> Blocks(string document, string language) =>
        [.. Regex.Matches(
                Repository.ReadText(document), $"^```{language}\n(.*?)^```",
                RegexOptions.Singleline | RegexOptions.Multiline)
            .Select(match => match.Groups[1].Value)];

    // The program as it was built beside the tests.
    private static string Help()
    {
        var start = new ProcessStartInfo(
            "dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "nibble.dll"), "--help"])
        {
            RedirectStandardOutput = true,
        };
        start.Environment["NO_COLOR"] = "1";
        using var program = Process.Start(start)!;
        var output = program.StandardOutput.ReadToEnd();
        program.WaitForExit();
        Assert.Equal(0, program.ExitCode);
        return output;
    }
}
