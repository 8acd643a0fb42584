using System.Text.RegularExpressions;

namespace Nibble.Architecture.Tests;

/// <summary>What the text of the repository must and must not hold.</summary>
public sealed class TextTests
{
    private const int LinesAtMost = 400;

    // What .editorconfig asks of editors, which do not refuse. No line needs more, so there is no list of exceptions.
    private const int ColumnsAtMost = 120;

    // The only files that read environment variables, and for what.
    private static readonly Dictionary<string, string> EnvironmentReaders = new()
    {
        ["src/Nibble.Cli/Shell/Surroundings.cs"] = "colours, a terminal without control sequences, stack traces",
        ["src/Nibble.Cpu/Simd/InstructionSet.cs"] = "forces an instruction set, for tests and comparisons",
        ["src/Nibble.Cuda/Interop/NativeLoader.cs"] = "where the CUDA libraries are",
        ["src/Nibble.Cuda/Runtime/CudaOptions.cs"] = "the cache folder, and launches one by one for debugging",
        ["src/Nibble/Hub/HubSettings.cs"] = "the settings that the Hub's own Python client reads",
        ["src/Nibble/Tracking/Wandb/WandbSettings.cs"] = "the settings that W&B's own client reads",
    };

    // The rows of the example search for this word: it is their subject, not a note of ours.
    private static readonly string[] WordIsData = ["eng/examples/nl2bash_pools.py"];

    private static readonly string[] Code = [".cs", ".cu", ".cuh", ".py", ".sh"];

    private static readonly string[] Texts =
        [.. Code, ".csproj", ".props", ".targets", ".slnx", ".md", ".yml", ".yaml", ".json", ".jsonl", ".txt", ""];

    [Fact]
    public void Code_HasNoFileOverTheLimit()
    {
        var lengths = Repository.Files("", Code).ToDictionary(file => file, LineCount);

        Assert.NotEmpty(lengths);
        Assert.Empty(lengths.Where(file => file.Value > LinesAtMost).Select(file => $"{file.Key}: {file.Value} lines"));
    }

    [Fact]
    public void Code_HasNoLineOverTheLimit() =>
        Assert.Empty(Repository.Files("", Code).SelectMany(file => WideLines(file, Repository.ReadText(file))));

    [Theory]
    [InlineData(ColumnsAtMost, 0)]
    [InlineData(ColumnsAtMost + 1, 1)]
    public void WideLines_FindsTheLineOverTheLimit(int columns, int found)
    {
        // An emoji is two chars of UTF-16 and one column of the count; the line end is none.
        var line = "\U0001F600" + new string('x', columns - 1);

        Assert.Equal(
            Enumerable.Repeat($"a.cs:2: {columns} columns, at most {ColumnsAtMost}", found),
            WideLines("a.cs", $"short\n{line}\nshort\n"));
    }

    [Fact]
    public void EnvironmentVariables_AreRead_OnlyInTheListedFiles()
    {
        var reading = new Regex(@"Environment\.(Get|Set|Expand)EnvironmentVariable");
        var readers = Repository.Files("src", ".cs").Where(file => reading.IsMatch(Repository.ReadText(file)));

        Assert.Equal(EnvironmentReaders.Keys.Order(StringComparer.Ordinal), readers);
    }

    [Fact]
    public void Code_HoldsNothingUnfinished()
    {
        var marker = new Regex(@"\b(TO" + @"DO|FIX" + @"ME|HA" + @"CK|X" + @"XX|NotImplemented" + @"Exception)\b");
        Assert.Empty(Matches(Repository.Files("", Code).Except(WordIsData), marker));
    }

    [Fact]
    public void Texts_HoldNoPathOfSomebodysMachine()
    {
        var home = new Regex(@"(?<![\w.~}\-])/(home|root|work|Users)/[\w.]|[A-Z]:\\+Users\\");
        Assert.Empty(Matches(Repository.Files("", Texts), home));
    }

    [Fact]
    public void Code_IsSkippedByNoPragma()
    {
        // Rules are switched off once, in .editorconfig, with the reason.
        var pragma = new Regex(@"^\s*#pragma warning", RegexOptions.Multiline);
        Assert.Empty(Matches(Repository.Files("src", ".cs"), pragma));
    }

    [Fact]
    public void Names_AvoidWordsThatSayNothing()
    {
        var vague = Assemblies.Names.SelectMany(name => Assemblies.Load(name).GetTypes())
            .Where(type => type.Namespace?.StartsWith("Nibble", StringComparison.Ordinal) == true)
            .Where(type => Regex.IsMatch(type.Name, "(Manager|Helper|Helpers|Util|Utils|Utility)(`|$)"))
            .Select(type => type.FullName);

        Assert.Empty(vague);
    }

    private static int LineCount(string file) => Repository.ReadText(file).Count(character => character == '\n');

    private static IEnumerable<string> WideLines(string file, string text) =>
        text.Split('\n')
            .Select((line, index) => (Columns: line.EnumerateRunes().Count(), Number: index + 1))
            .Where(line => line.Columns > ColumnsAtMost)
            .Select(line => $"{file}:{line.Number}: {line.Columns} columns, at most {ColumnsAtMost}");

    private static IEnumerable<string> Matches(IEnumerable<string> files, Regex pattern) =>
        from file in files
        let text = Repository.ReadText(file)
        from Match match in pattern.Matches(text)
        select $"{file}:{text[..match.Index].Count(character => character == '\n') + 1}: {match.Value}";
}
