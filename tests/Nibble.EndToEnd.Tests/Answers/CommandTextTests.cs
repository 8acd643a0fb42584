using System.Text.Json;
using Nibble.EndToEnd.Tests.Cli;
using Nibble.Hosting.Answers;

namespace Nibble.EndToEnd.Tests.Answers;

/// <summary>What counts as a command and nothing else.</summary>
public sealed class CommandTextTests
{
    public static TheoryData<string> Commands =>
    [
        "ls", "wc -l server.log", "find . -name '*.txt' -exec rm {} \\;", "LC_ALL=C sort -u names.txt",
        "./run.sh --fast", "for f in *.log; do gzip \"$f\"; done", "if test -d /tmp/x; then echo yes; fi",
        "grep -c \"don't\" notes.txt", "awk '{ print $1; }\n{ n++ }' table.tsv", "ls |\n  wc -l",
        "tar -czf a.tgz \\\n  folder", "echo \"$(date +%F) `hostname`\"",
        "while read -r line; do\n  echo \"$line\"\ndone < names.txt", "cat <<'EOF' > note.txt\nThis is text.\nEOF",
        "! grep -q x y", "case $1 in\n  a) echo a ;;\n  *) echo b ;;\nesac", "[ -f x ] && cat x", "(cd /tmp && ls)",
        "{ date; uptime; } > out.txt", "du -sh * | sort -h # largest last", "a=$((1 + 2)); echo $a",
        "diff <(sort a) <(sort b)", "cp a.txt .", "yes | rm -i x",
        "printf '%s\\n' \"${names[@]}\"", "command -v git", "cat <<< word", "echo $'it\\'s'", "echo \"a `date` b\"",
        "for all in x y; do echo $all; done", "X=1", ". ./settings.sh", "$HOME/bin/tool",
    ];

    public static TheoryData<string> Others =>
    [
        "", "  \n ", "```bash\nls\n```", "`ls`", "To list files, use ls.", "Use ls -l", "This lists files",
        "the command is ls", "You can run ls -l to list files.", "Sure! ls", "ls\nThis command lists the files.",
        "ls\npwd", "ls <|im_end|>", "assistant\nls", "user", "echo 'open", "echo \"open", "echo $(date", "(ls", "ls )",
        "if true; then ls", "for f in *; do ls $f", "ls |", "ls &&", "ls \\", "done", "cat <<EOF\nno end",
        "command to list files", "for the list of files use ls", "sudo", "ls\u0007", "ls \uFFFD", "Answer: ls",
        "if you want to list files, run ls", "list the files in this folder.", "fi", "ls; }", "[INST] ls", "| wc -l",
        "show all files of the folder.",
    ];

    [Theory]
    [MemberData(nameof(Commands))]
    public void Command_IsRecognised(string text) => Assert.True(CommandText.IsCommand(text), text);

    [Theory]
    [MemberData(nameof(Others))]
    public void AnythingElse_IsRefused(string text) => Assert.False(CommandText.IsCommand(text), text);

    [Theory]
    [MemberData(nameof(Commands))]
    public void Command_IsParsedByBash(string text)
    {
        if (!BashSyntax.IsInstalled())
        {
            Assert.Skip("bash is not installed");
        }

        Assert.True(BashSyntax.Parses(text), text);
    }

    [Fact]
    public void Bash_RefusesWhatItCannotParse()
    {
        if (!BashSyntax.IsInstalled())
        {
            Assert.Skip("bash is not installed");
        }

        Assert.False(BashSyntax.Parses("if true; then ls"));
        Assert.False(BashSyntax.Parses("echo 'open"));
        Assert.False(BashSyntax.Parses(""));
    }

    // The rows are known to be commands (eng/examples/check_rows.sh): a check that refuses one is too strict.
    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("val.jsonl")]
    public void ExampleRows_AreAllCommands(string file)
    {
        var answers = File.ReadLines(Path.Combine(Path.GetDirectoryName(Examples.Nl2Bash)!, file))
            .Select(Reference).ToList();

        Assert.NotEmpty(answers);
        Assert.DoesNotContain(answers, a => !CommandText.IsCommand(a));
    }

    [Theory]
    [InlineData("ls -l", "ls")]
    [InlineData("LC_ALL=C sudo  sort -u x", "sort")]
    [InlineData("A=1", null)]
    [InlineData("", null)]
    public void Program_IsTheFirstWordAfterAssignmentsAndSudo(string text, string? expected) =>
        Assert.Equal(expected, CommandText.Program(text));

    [Fact]
    public void Metrics_CountEachPropertyOverAllRows()
    {
        Answer Of(string reference, string text, bool terminated) => new("rows:1", "q", reference, text, 4, terminated);

        var metrics = AnswerMetrics.Of(
            [Of("ls -l", "ls -l", true), Of("ls -l", "ls -a", true), Of("ls", "ls ls ls", false), Of("wc x", "", true)],
            [true, true, true, false]);

        Assert.Equal(
            (4, 0.25, 0.5, 0.75, 0.75, 0.75, 4.0),
            (metrics.Rows, metrics.ExactMatch, metrics.CommandOnly, metrics.SameProgram, metrics.Terminated,
                metrics.BashSyntax, metrics.MeanTokens));
    }

    private static string Reference(string line)
    {
        using var row = JsonDocument.Parse(line);
        return row.RootElement.GetProperty("messages").EnumerateArray().Last().GetProperty("content").GetString()!;
    }
}
