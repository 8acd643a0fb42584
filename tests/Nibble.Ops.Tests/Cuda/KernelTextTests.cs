using System.Text.RegularExpressions;

namespace Nibble.Ops.Tests.Cuda;

/// <summary>Kernel texts and their launchers, compared as texts: what a card would find out too late.</summary>
public sealed partial class KernelTextTests
{
    private static readonly string? Folder = FindFolder();

    [Fact]
    public void Kernel_Each_HasOneLauncher()
    {
        var launchers = Launchers().GroupBy(l => (l.File, l.Kernel)).ToDictionary(g => g.Key, g => g.ToList());
        var kernels = Kernels().Select(k => (k.File, k.Name)).ToList();
        Assert.NotEmpty(kernels);
        Assert.Empty(kernels.GroupBy(k => k.Name).Where(g => g.Count() > 1).Select(g => g.Key));
        Assert.Equal(kernels.Order(), launchers.Keys.Order());
        Assert.Empty(launchers.Where(l => l.Value.Select(k => k.Source).Distinct().Count() > 1).Select(l => l.Key));
    }

    [Fact]
    public void Launch_OfAFieldsKernel_PassesItsParameters()
    {
        var parameters = Kernels().ToDictionary(k => k.Name, k => k.Parameters);
        var wrong = new List<string>();
        var launches = 0;
        foreach (var path in Sources("*.cs"))
        {
            var text = WithoutComments(File.ReadAllText(path));
            var fields = FieldPattern().Matches(text).ToDictionary(m => m.Groups[1].Value, m => m.Groups[3].Value);
            foreach (Match call in LaunchPattern().Matches(text))
            {
                var arguments = Split(text, call.Index + call.Length - 1);
                foreach (Match field in IdentifierPattern().Matches(arguments[0]))
                {
                    if (!fields.TryGetValue(field.Value, out var kernel))
                    {
                        continue;
                    }

                    launches++;
                    if (arguments.Count - 3 != parameters[kernel])
                    {
                        wrong.Add($"{Path.GetFileName(path)}: {kernel} has {parameters[kernel]} parameters, "
                            + $"gets {arguments.Count - 3}");
                    }
                }
            }
        }

        Assert.Empty(wrong);
        Assert.True(launches >= 30, $"only {launches} launches were recognised: the pattern no longer fits the code");
    }

    [Fact]
    public void Include_Each_IsAHeaderOfThisBuild()
    {
        var headers = Sources("*.cuh").Select(Path.GetFileName).ToHashSet();
        var included = Sources("*.cu").Concat(Sources("*.cuh"))
            .SelectMany(p => IncludePattern().Matches(File.ReadAllText(p)).Select(m => m.Groups[1].Value));
        Assert.DoesNotContain(included, i => !headers.Contains(i));
    }

    private static IEnumerable<(string File, string Name, int Parameters)> Kernels()
    {
        foreach (var path in Sources("*.cu"))
        {
            var text = WithoutComments(File.ReadAllText(path));
            foreach (Match match in KernelPattern().Matches(text))
            {
                yield return (Path.GetFileName(path), match.Groups[1].Value,
                    Split(text, match.Index + match.Length - 1).Count);
            }
        }
    }

    private static IEnumerable<(string Source, string File, string Kernel)> Launchers()
    {
        foreach (var path in Sources("*.cs"))
        {
            var text = WithoutComments(File.ReadAllText(path));
            var constants = ConstantPattern().Matches(text).ToDictionary(
                m => m.Groups[1].Value, m => m.Groups[2].Value);
            foreach (Match match in KernelNamePattern().Matches(text))
            {
                var file = match.Groups[1].Value;
                yield return (path, constants.GetValueOrDefault(file, file.Trim('"')), match.Groups[2].Value);
            }
        }
    }

    // The pieces between the parenthesis at a position and its partner.
    private static List<string> Split(string text, int open)
    {
        var (pieces, depth, start) = (new List<string>(), 0, open + 1);
        for (var i = open; ; i++)
        {
            depth += text[i] is '(' or '[' or '{' ? 1 : text[i] is ')' or ']' or '}' ? -1 : 0;
            if (depth == 0 || (depth == 1 && text[i] == ','))
            {
                pieces.Add(text[start..i].Trim());
                start = i + 1;
            }

            if (depth == 0)
            {
                return pieces;
            }
        }
    }

    private static string WithoutComments(string text) => CommentPattern().Replace(text, "");

    private static string[] Sources(string pattern)
    {
        Assert.SkipWhen(Folder is null, "the sources of the kernels are not above the test assembly");
        return Directory.GetFiles(Folder, pattern, SearchOption.AllDirectories);
    }

    private static string? FindFolder()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var sources = Path.Combine(folder.FullName, "src", "Nibble.Cuda");
            if (Directory.Exists(sources))
            {
                return sources;
            }
        }

        return null;
    }

    [GeneratedRegex("""__global__\s+(?:void\s+)?(?:__launch_bounds__\([^)]*\)\s*)?(?:void\s+)?(\w+)\s*\(""")]
    private static partial Regex KernelPattern();

    [GeneratedRegex("""const string (\w+) = "(\w+\.cu)";""")]
    private static partial Regex ConstantPattern();

    [GeneratedRegex("""Kernel (_\w+) = new\(([\w."]+), "(\w+)""")]
    private static partial Regex FieldPattern();

    [GeneratedRegex("""new(?: Kernel)?\((\w+File|"\w+\.cu"), "(\w+)["]""")]
    private static partial Regex KernelNamePattern();

    [GeneratedRegex("""_context\.Launch\(""")]
    private static partial Regex LaunchPattern();

    [GeneratedRegex("""_\w+""")]
    private static partial Regex IdentifierPattern();

    [GeneratedRegex("""#include "([^"]+)["]""")]
    private static partial Regex IncludePattern();

    [GeneratedRegex("""//.*""")]
    private static partial Regex CommentPattern();
}
