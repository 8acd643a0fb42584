namespace Nibble.Ops.Tests;

/// <summary>Documents say what the code does.</summary>
public sealed class DocumentTests
{
    [Fact]
    public void Numerics_Document_HoldsTheToleranceTable() => Assert.Contains(
        Tolerance.ToMarkdown(), Repository.ReadText("docs", "numerics.md"), StringComparison.Ordinal);

    [Fact]
    public void Numerics_Document_NamesTheShareOfCodes() => Assert.Contains(
        $"in {Tolerance.CodeShare:P1} of the elements", Repository.ReadText("docs", "numerics.md"),
        StringComparison.Ordinal);

    [Fact]
    public void Ops_Document_IsMadeFromTheCases()
    {
        var expected = OpsDocument.Render();
        if (!File.Exists(Repository.PathTo("docs", "ops.md")) || Repository.ReadText("docs", "ops.md") != expected)
        {
            var actual = Repository.PathTo("docs", "ops.md.actual");
            File.WriteAllText(actual, expected);
            Assert.Fail($"docs/ops.md is not what the cases say: look at {actual} and copy it over docs/ops.md");
        }
    }

    [Fact]
    public void Tolerances_Table_HasOneReasonedRowPerClassAndType()
    {
        Assert.All(
            Tolerance.Table, row => Assert.True(row.Reason.Length > 20, $"{row.Class} {row.Type}: {row.Reason}"));
        Assert.Equal(Tolerance.Table.Count, Tolerance.Table.DistinctBy(row => (row.Class, row.Type)).Count());
        Assert.Equal(2 * (Enum.GetValues<ToleranceClass>().Length - 2), Tolerance.Table.Count);
    }
}
